"""A database to import into, besides the test's own."""

from collections.abc import Iterator

import pytest

from unitwork.testing.servers.databases import Databases


@pytest.fixture
def database_mode() -> str:
    """Processes and servers connect to the test's database themselves."""
    return "own"


@pytest.fixture
def other_url(databases: Databases, backend: str) -> Iterator[str]:
    """A second migrated database, empty."""
    url = databases.create(backend)
    yield url
    databases.drop(url)

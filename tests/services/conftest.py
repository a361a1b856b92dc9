"""A database to import into, besides the test's own."""

from collections.abc import Iterator

import pytest

from database.testing.databases import Databases


@pytest.fixture
def other_url(databases: Databases, backend: str) -> Iterator[str]:
    """A second migrated database, empty."""
    url = databases.create(backend)
    yield url
    databases.drop(url)

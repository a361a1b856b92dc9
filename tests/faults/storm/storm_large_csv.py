"""100,000 rows in, out, and in again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.large_csv_rounds import judged
from unitwork.testing.servers.databases import Databases

ROWS = 100_000


@pytest.fixture
def database_mode() -> str:
    """A process of its own connects."""
    return "own"


@pytest.fixture
def other_url(databases: Databases, backend: str) -> Iterator[str]:
    """A second migrated database, empty."""
    url = databases.create(backend)
    yield url
    databases.drop(url)


def test_100_000_rows_take_less_than_64_mb_and_come_back_as_they_were(
    database_url: str, other_url: str, tmp_path: Path
) -> None:
    print(judged(ROWS, tmp_path, database_url=database_url, other_url=other_url, within=3000))

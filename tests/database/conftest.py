"""A running container with the two small tables, and its transaction."""

from collections.abc import Iterator

import pytest
from sqlalchemy import make_url

from containers import Container
from settings import DatabaseSettings
from tests.database.tables import create_tables, metadata
from unitwork import TransactionProvider
from unitwork.connections.engine import build_engine
from unitwork.testing.servers import mariadb_server
from unitwork.testing.servers.databases import Databases
from unitwork.testing.servers.postgresql import apart


@pytest.fixture
def database_mode() -> str:
    """How transactions begin and end is tried with real ones."""
    return "own"


@pytest.fixture(scope="session")
def mariadb_with_tables(databases: Databases) -> str:
    """MariaDB takes as long to make a table as to run a test: one database for all of them, emptied each time."""
    url = databases.create("mariadb")

    async def make() -> None:
        engine = build_engine(DatabaseSettings.model_validate({"url": url}))
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        await engine.dispose()

    apart(make)
    return url


@pytest.fixture
def database_url(databases: Databases, backend: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of the test's own; on MariaDB it has the two tables already."""
    if backend == "mariadb":
        url = str(request.getfixturevalue("mariadb_with_tables"))
        yield url
        mariadb_server.empty(make_url(url).database or "")
    else:
        url = databases.create(backend)
        yield url
        databases.drop(url)


@pytest.fixture
async def with_tables(container: Container) -> Container:
    await create_tables(container)
    return container


@pytest.fixture
async def transaction(with_tables: Container) -> TransactionProvider:
    return with_tables.transaction()

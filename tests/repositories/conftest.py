"""The subject of the conformance tests, and on MariaDB the tables that tests make."""

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from settings import DatabaseSettings
from tests.fakes import over_fakes
from tests.repositories.conformance import Subject
from tests.repositories.shelves import ShelfBase
from tests.repositories.zoo_visit import zoo, zoo_urls  # noqa: F401 - fixtures
from unitwork.connections.engine import build_engine
from unitwork.models import SYSTEM, acting_as
from unitwork.testing.servers.databases import Databases
from unitwork.testing.servers.postgresql import apart


@pytest.fixture(scope="session")
def mariadb_with_tables(databases: Databases) -> str:
    """One that has the tests' own tables already: MariaDB commits when a table is made, which no isolated test can."""
    url = databases.create("mariadb")

    async def make() -> None:
        engine = build_engine(DatabaseSettings.model_validate({"url": url}))
        async with engine.begin() as connection:
            await connection.run_sync(ShelfBase.metadata.create_all)
        await engine.dispose()

    apart(make)
    return url


@pytest.fixture
def database_url(database_url: str, backend: str, database_mode: str, request: pytest.FixtureRequest) -> str:
    """The kit's, but for MariaDB's isolated tests."""
    if backend == "mariadb" and database_mode == "isolated":
        return str(request.getfixturevalue("mariadb_with_tables"))
    return database_url


@pytest.fixture
def subject(backend: str, request: pytest.FixtureRequest) -> Subject:
    """A container over memory, or a running one over this test's database."""
    container = over_fakes()[0] if backend == "memory" else request.getfixturevalue("container")
    return Subject(backend, container)


@pytest.fixture
async def elsewhere(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A second connection to PostgreSQL, of somebody who migrates."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
def acting() -> Iterator[None]:
    """Every write of the test is SYSTEM's."""
    with acting_as(SYSTEM):
        yield

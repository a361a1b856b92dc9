"""The fixtures, from servers to a session. A host may override each by its name."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import partial
from pkgutil import resolve_name

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncSession

from unitwork.database import Database
from unitwork.options import DatabaseOptions
from unitwork.testing import plugin
from unitwork.testing.beside_session import BesideSession
from unitwork.testing.isolated_options import IsolatedOptions
from unitwork.testing.leaks import assert_none_in_use, no_leaks
from unitwork.testing.queries import Queries, assert_queries
from unitwork.testing.servers.databases import Databases

Opening = Callable[[DatabaseOptions], AbstractAsyncContextManager[Database]]
"""Opens the host's database, whose tables are created or migrated."""


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> Databases:
    """The databases of this worker; `create` makes further ones."""
    return plugin.databases(request.config)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of database that the test runs on."""
    return str(getattr(request, "param", None) or plugin.backends(request.config)[0])


@pytest.fixture
def database_mode(request: pytest.FixtureRequest) -> str:
    """`isolated` or `own`, from the marker; a conftest may override the fixture for its folder."""
    return plugin.mode_of(request.node)


@pytest.fixture
def database_url(databases: Databases, backend: str, database_mode: str) -> Iterator[str]:
    """The URL of a migrated database: the test's own, or in isolated mode one that only the kit's engine may
    write to.
    """
    if database_mode == "isolated":
        yield databases.shared(backend)
        return
    url = databases.create(backend)
    yield url
    databases.drop(url)


@pytest.fixture
def database_options(database_url: str, database_mode: str) -> DatabaseOptions:
    """The options with which the host opens this test's database. An exceeded `budget` is an error."""
    kind = IsolatedOptions if database_mode == "isolated" else DatabaseOptions
    return kind(database_url, budgets="raise")


@pytest_asyncio.fixture
async def database(database_options: DatabaseOptions, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """This test's database, opened by `unitwork_database`. At the end no connection may be in use."""
    opening: Opening = resolve_name(request.config.getini("unitwork_database"))
    try:
        async with opening(database_options) as opened:
            yield opened
            assert_none_in_use(opened.engine)
    finally:
        if isinstance(database_options, IsolatedOptions):
            await database_options.outer.end()


@pytest_asyncio.fixture
async def session(database: Database) -> AsyncIterator[AsyncSession]:
    """A session separate from the code under test; see `BesideSession`."""
    async with BesideSession(database.factory) as session:
        yield session


@pytest.fixture(name="assert_queries")
def bound_assert_queries(database: Database) -> Callable[..., AbstractContextManager[Queries]]:
    """`assert_queries` for this test's database: `with assert_queries(max=2):`."""
    return partial(assert_queries, database)


@pytest_asyncio.fixture(name="no_leaks")
async def bound_no_leaks(database: Database) -> AsyncIterator[None]:
    """Fail if the test leaves connections, units or tasks open."""
    async with no_leaks(database):
        yield

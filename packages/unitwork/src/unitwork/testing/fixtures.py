"""The fixtures: from the database up to the HTTP client, each to be overridden by its name."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.pool import QueuePool

from app.testing.given_settings import GivenSettings
from app.testing.isolated import isolated
from settings import Settings
from unitwork.testing import plugin
from unitwork.testing.beside_session import BesideSession
from unitwork.testing.leaks import no_leaks
from unitwork.testing.queries import Queries, assert_queries
from unitwork.testing.servers.databases import Databases


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> Databases:
    """The databases of this worker; `create` gives further ones."""
    return plugin.databases(request.config)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of database that the test runs on."""
    return str(getattr(request, "param", None) or plugin.backends(request.config)[0])


@pytest.fixture
def database_mode(request: pytest.FixtureRequest) -> str:
    """`isolated` or `own`, as the marker says; a conftest that overrides it decides for its folder."""
    return plugin.mode_of(request.node)


@pytest.fixture
def database_url(databases: Databases, backend: str, database_mode: str) -> Iterator[str]:
    """A migrated database: of the test's own, or, isolated, one that only the kit's container may write to."""
    if database_mode == "isolated":
        yield databases.shared(backend)
        return
    url = databases.create(backend)
    yield url
    databases.drop(url)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """What the container is built from. No variable, `.env` or secret of the developer's gets into a test."""
    return GivenSettings.model_validate({"database": {"url": database_url, "budgets": "raise"}, "var_dir": tmp_path})


@pytest_asyncio.fixture
async def container(settings: Settings, database_mode: str, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """A running container over this test's database; no connection may be left in use."""
    name = request.config.getini("gatehouse_containers")
    page: Any = resolve_name(name)
    built = page.Container(settings=settings)
    async with isolated(built, containers=name) if database_mode == "isolated" else page.running(built):
        yield built
        pool = built.engine().pool
        in_use = pool.checkedout() if isinstance(pool, QueuePool) else 0
        if in_use:
            msg = f"connections still in use: {in_use}. The fixture `no_leaks` tells which lines took them."
            raise AssertionError(msg)


@pytest_asyncio.fixture
async def session(container: Any) -> AsyncIterator[AsyncSession]:
    """A session beside the code under test; see `BesideSession`."""
    async with BesideSession(container) as session:
        yield session


@pytest.fixture
def app(container: Any, request: pytest.FixtureRequest) -> Any:
    """The HTTP application over the container."""
    return resolve_name(request.config.getini("gatehouse_app"))(container)


@pytest_asyncio.fixture
async def client(app: Any) -> AsyncIterator[Any]:
    """HTTP in this process, as nobody; an `httpx2.AsyncClient`."""
    httpx2 = resolve_name("httpx2")  # not every suite has it
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client:
        yield client


@pytest.fixture(name="assert_queries")
def bound_assert_queries(container: Any) -> Callable[..., AbstractContextManager[Queries]]:
    """`assert_queries` for this test's container: `with assert_queries(max=2):`."""
    return partial(assert_queries, container)


@pytest_asyncio.fixture(name="no_leaks")
async def bound_no_leaks(container: Any) -> AsyncIterator[None]:
    """Nothing that the test took may be left when it ends."""
    async with no_leaks(container):
        yield

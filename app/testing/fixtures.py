"""Fixtures, from the container up to the HTTP client. A test suite may override each by its name."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
import pytest_asyncio

from app.testing.given_settings import GivenSettings
from app.testing.isolated import isolated
from app.testing.messages import Delivered, assert_appended, deliver_due
from domain import OutboxMessage
from settings import Settings
from unitwork.testing import BesideSession, Queries, assert_none_in_use, assert_queries, no_leaks


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings for the test's container. The developer's environment, `.env` and secrets don't affect them."""
    return GivenSettings.model_validate({"database": {"url": database_url, "budgets": "raise"}, "var_dir": tmp_path})


@pytest_asyncio.fixture
async def container(settings: Settings, database_mode: str, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """A running container over this test's database; no connection may be left in use."""
    name = request.config.getini("gatehouse_containers")
    page: Any = resolve_name(name)
    built = page.Container(settings=settings)
    async with isolated(built, containers=name) if database_mode == "isolated" else page.running(built):
        yield built
        assert_none_in_use(built.engine())


@pytest_asyncio.fixture
async def session(container: Any) -> AsyncIterator[BesideSession]:
    """A session separate from the code under test; see `BesideSession`."""
    async with BesideSession(container.session_factory()) as session:
        yield session


@pytest.fixture
def app(container: Any, request: pytest.FixtureRequest) -> Any:
    """The HTTP application of the container."""
    return resolve_name(request.config.getini("gatehouse_app"))(container)


@pytest_asyncio.fixture
async def client(app: Any) -> AsyncIterator[Any]:
    """An unauthenticated HTTP client of the application, in this process; an `httpx2.AsyncClient`."""
    httpx2 = resolve_name("httpx2")  # not every suite has it
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client:
        yield client


@pytest.fixture(name="assert_queries")
def bound_assert_queries(container: Any) -> Callable[..., AbstractContextManager[Queries]]:
    """`assert_queries` for this test's container: `with assert_queries(max=2):`."""
    return partial(assert_queries, container)


@pytest.fixture(name="deliver_due")
def bound_deliver_due(container: Any) -> Callable[..., Awaitable[list[Delivered]]]:
    """`deliver_due` for this test's container: `await deliver_due()`."""
    return partial(deliver_due, container)


@pytest.fixture(name="assert_appended")
def bound_assert_appended(container: Any) -> Callable[..., Awaitable[Sequence[OutboxMessage]]]:
    """`assert_appended` for this test's container: `await assert_appended("user.registered", {"user_id": "1"})`."""
    return partial(assert_appended, container)


@pytest_asyncio.fixture(name="no_leaks")
async def bound_no_leaks(container: Any) -> AsyncIterator[None]:
    """Run the test inside `no_leaks` of its container: leaving resources open fails it."""
    async with no_leaks(container):
        yield

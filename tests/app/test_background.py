"""BackgroundTasks: supervised, bounded, apart from the caller's transaction, and drained before the engine goes."""

import asyncio
import logging
from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.api import create_app
from app.api.access import Access
from app.api.dependencies import ActingUserDep, BackgroundDep, ContainerDep
from app.background import BackgroundClosed, BackgroundFull, BackgroundTasks
from containers import Container, running
from domain import User
from settings import Settings
from tests.patience import until
from unitwork import current_transaction
from unitwork.models import SYSTEM, acting_as, acting_user_id, bound_request_id, current_request_id

pytestmark = pytest.mark.database("own")


@pytest.fixture
async def background() -> AsyncIterator[BackgroundTasks]:
    """Held open by one task: a fixture's set-up and teardown are two."""
    entered: asyncio.Future[BackgroundTasks] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def hold() -> None:
        async with BackgroundTasks(limit=20, concurrency=3, drain_timeout=5) as tasks:
            entered.set_result(tasks)
            await over.wait()

    holder = asyncio.create_task(hold())
    yield await entered
    over.set()
    await holder


async def test_work_has_the_callers_context_and_a_transaction_of_its_own(
    container: Container, background: BackgroundTasks, session: AsyncSession
) -> None:
    seen: list[object] = []

    async def work() -> None:
        seen.extend([acting_user_id(), current_request_id(), current_transaction()])
        await container.user_service().create({"email": "work@example.com"})

    with acting_as(42), bound_request_id("request-1"):
        async with container.transaction()():
            await container.user_service().create({"email": "caller@example.com"})
            background.start("work", work)
            await asyncio.sleep(0.05)
            assert seen == [], "it waits for the commit"
        await until(lambda: background.counts["done"] == 1)
    assert seen == [42, "request-1", None]
    (user,) = await session.scalars(select(User).where(User.email == "work@example.com"))
    assert user.created_by == 42


async def test_work_of_a_transaction_that_rolls_back_never_starts(
    container: Container, background: BackgroundTasks
) -> None:
    async def work() -> None: ...

    with acting_as(SYSTEM), pytest.raises(ZeroDivisionError):
        async with container.transaction()():
            background.start("work", work)
            raise ZeroDivisionError
    await asyncio.sleep(0.02)
    assert background.counts == {}


async def test_a_failure_is_logged_and_counted_and_undoes_its_own_work_alone(
    container: Container, background: BackgroundTasks, session: AsyncSession, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        async with container.transaction()():
            await container.user_service().create({"email": "half@example.com"})
            raise LookupError

    async def work() -> None:
        await container.user_service().create({"email": "whole@example.com"})

    with acting_as(SYSTEM), caplog.at_level(logging.ERROR, "gatehouse.background"):
        background.start("fail", fail)
        background.start("work", work)
        await until(lambda: background.waiting == 0)
    assert background.counts == {"started": 2, "done": 1, "failed": 1}
    assert [record.getMessage() for record in caplog.records] == ["background task fail failed"]
    assert [user.email for user in await session.scalars(select(User))] == ["whole@example.com"]


async def test_no_more_runs_at_once_and_no_more_waits_than_may(background: BackgroundTasks) -> None:
    at_once, most = 0, 0
    go = asyncio.Event()

    async def work() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await go.wait()
        at_once -= 1

    for _ in range(20):
        background.start("work", work)
    with pytest.raises(BackgroundFull):
        background.start("work", work)
    await until(lambda: at_once == 3)
    go.set()
    await until(lambda: background.waiting == 0)
    assert (most, background.counts["done"], background.counts["refused"]) == (3, 20, 1)


async def test_work_that_something_cancelled_stops_nothing_else(
    background: BackgroundTasks, caplog: pytest.LogCaptureFixture
) -> None:
    async def cancelled() -> None:
        helper = asyncio.create_task(asyncio.sleep(60))
        helper.cancel()
        await helper

    async def work() -> None:
        await asyncio.sleep(0.05)

    background.start("beside", work)
    background.start("cancelled", cancelled)
    await until(lambda: background.counts["cancelled"] == 1)
    background.start("after", work)
    await until(lambda: background.waiting == 0)
    assert background.counts == {"started": 3, "cancelled": 1, "done": 2}
    assert "background task cancelled ended as something that it awaited was cancelled" in caplog.text


async def test_what_waits_for_its_commit_counts_towards_the_limit(
    container: Container, background: BackgroundTasks
) -> None:
    async def work() -> None: ...

    with acting_as(SYSTEM):
        async with container.transaction()():
            await container.user_service().create({"email": "caller@example.com"})
            for _ in range(20):
                background.start("work", work)
            with pytest.raises(BackgroundFull):
                background.start("work", work)
        await until(lambda: background.waiting == 0)
        assert background.counts == {"started": 20, "done": 20, "refused": 1}
        with pytest.raises(ZeroDivisionError):
            async with container.transaction()():
                await container.user_service().create({"email": "undone@example.com"})
                for _ in range(20):
                    background.start("work", work)
                assert background.waiting == 20
                raise ZeroDivisionError
    assert background.waiting == 0, "places are given back"


async def test_it_is_drained_before_the_engine_goes(settings: Settings, session: AsyncSession) -> None:
    async with running(Container(settings=settings)) as container, BackgroundTasks() as background:

        async def work() -> None:
            await asyncio.sleep(0.2)
            await container.user_service().create({"email": "late@example.com"})

        with acting_as(SYSTEM):
            background.start("work", work)
    assert background.counts["done"] == 1
    assert [user.email for user in await session.scalars(select(User))] == ["late@example.com"]
    with pytest.raises(BackgroundClosed):
        background.start("work", work)


async def test_what_takes_longer_than_the_drain_is_cancelled_and_leaves_nothing_half(
    settings: Settings, session: AsyncSession, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(Container(settings=settings)) as container, BackgroundTasks(drain_timeout=0.2) as background:

        async def work() -> None:
            async with container.transaction()():
                await container.user_service().create({"email": "half@example.com"})
                await asyncio.sleep(60)

        with acting_as(SYSTEM):
            background.start("work", work)
            await asyncio.sleep(0.05)
    assert background.counts == {"started": 1, "cancelled": 1}
    assert "cancelled when the application stopped: 1 background tasks" in caplog.text
    assert list(await session.scalars(select(User))) == []


async def test_an_endpoint_starts_work_that_ends_after_its_answer(settings: Settings, session: AsyncSession) -> None:
    container = Container(settings=settings)
    app = create_app(container)
    go = asyncio.Event()

    @app.post("/v1/later", status_code=202)
    async def later(background: BackgroundDep, container: ContainerDep, user: ActingUserDep) -> None:
        async def work() -> None:
            await go.wait()
            await container.user_service().create({"email": "later@example.com"})

        background.start("later", work)

    app.state.access_table.add("POST /v1/later", Access.BEARER)
    async with app.router.lifespan_context(app):
        with acting_as(SYSTEM):
            user = await container.user_service().create({"email": "ada@example.com"})
            _, secret = await container.auth_service().issue(user.id)
        assert (await _post(app, secret)).status_code == 202
        go.set()
    created = await session.scalar(select(User).where(User.email == "later@example.com"))
    assert created is not None
    assert created.created_by == user.id


async def test_without_a_lifespan_nothing_starts(app: FastAPI) -> None:
    async def work() -> None: ...

    with pytest.raises(BackgroundClosed):
        app.state.background.start("work", work)


async def _post(app: FastAPI, secret: str) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client:
        return await client.post("/v1/later", headers=headers)

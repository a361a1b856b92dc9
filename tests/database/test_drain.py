"""When a container closes: open units end, or are cancelled, or are left; and nothing begins."""

import asyncio
import logging
import time
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from containers import Container, running
from settings import Settings
from tests.database.tables import create_tables, stored, write
from unitwork import Outcome, Propagation, Transaction
from unitwork.errors import ContainerClosed

DRAIN = 0.4
BOUND = 2.0
"""Seconds that closing may take on top of the drain timeout."""


class Closing:
    """A running container that a test closes itself, and what is stored afterwards."""

    def __init__(self, settings: Settings, **database: Any) -> None:
        section = settings.database.model_copy(update={"drain_timeout": DRAIN, **database})
        self.settings = settings.model_copy(update={"database": section})
        self.container = Container(settings=self.settings)
        self._block: AbstractAsyncContextManager[Container] = running(self.container)

    async def open(self) -> None:
        await self._block.__aenter__()
        await create_tables(self.container)
        self.engine: AsyncEngine = self.container.engine()

    async def close(self) -> float:
        """The seconds it took."""
        begun = time.perf_counter()
        try:
            await self._block.__aexit__(None, None, None)
        finally:
            took = time.perf_counter() - begun
            print(f"closed after {took:.2f} s")
            assert took <= self.settings.database.drain_timeout + BOUND
        return took

    async def stored(self) -> set[str]:
        async with running(Container(settings=self.settings)) as another:
            return await stored(another)


@pytest.fixture
async def closing(settings: Settings) -> Closing:
    closing = Closing(settings)
    await closing.open()
    return closing


class Unit:
    """A transaction in a task of its own that writes a note and goes on until it is told to end."""

    def __init__(self, container: Container, words: str, *, name: str | None = None) -> None:
        self._container, self._words, self._name = container, words, name
        self.entered, self.go_on = asyncio.Event(), asyncio.Event()
        self.transaction: Transaction | None = None
        self.cancellations = 0
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with self._container.transaction()(name=self._name) as self.transaction:
            await write(self.transaction.session, self._words)
            self.entered.set()
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                self.cancellations += 1
                raise

    @property
    def outcome(self) -> Outcome | None:
        return None if self.transaction is None else self.transaction.outcome


async def begun(container: Container, words: str, *, name: str | None = None) -> Unit:
    unit = Unit(container, words, name=name)
    await unit.entered.wait()
    return unit


async def test_a_unit_that_ends_in_time_commits_and_closing_waits_no_longer(closing: Closing) -> None:
    unit = await begun(closing.container, "kept")
    asyncio.get_running_loop().call_later(0.1, unit.go_on.set)
    took = await closing.close()
    await unit.task
    assert 0.1 <= took < DRAIN
    assert unit.outcome is Outcome.COMMITTED
    assert await closing.stored() == {"kept"}


async def test_a_unit_that_takes_too_long_is_cancelled_once_and_reported(
    closing: Closing, caplog: pytest.LogCaptureFixture
) -> None:
    unit = await begun(closing.container, "lost", name="slow report")
    with caplog.at_level(logging.WARNING, "unitwork.database"):
        took = await closing.close()
    with pytest.raises(asyncio.CancelledError):
        await unit.task
    assert took >= DRAIN
    assert (unit.cancellations, unit.outcome, await closing.stored()) == (1, Outcome.ROLLED_BACK, set())
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("cancelled when the container closed: slow report for ")
    assert __file__ in line


async def test_a_unit_whose_task_was_cancelled_by_others_is_not_cancelled_again(closing: Closing) -> None:
    cleaned_up = []

    async def with_a_long_cleanup() -> None:
        async with closing.container.transaction()() as transaction:
            await write(transaction.session, "lost")
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(DRAIN + 0.2)
                cleaned_up.append(True)

    task = asyncio.create_task(with_a_long_cleanup())
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.sleep(0)
    await closing.close()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned_up == [True]
    assert await closing.stored() == set()


async def test_a_unit_that_swallows_its_cancellation_is_left_reported_and_loses_its_connection(
    closing: Closing, caplog: pytest.LogCaptureFixture
) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        async with closing.container.transaction()(name="stubborn") as transaction:
            await write(transaction.session, "lost")
            entered.set()
            while not go_on.is_set():
                with suppress(asyncio.CancelledError):
                    await go_on.wait()

    task = asyncio.create_task(stubborn())
    await entered.wait()
    with caplog.at_level(logging.WARNING, "unitwork.database"):
        await closing.close()
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("still open when the container closed, their connections are dropped: stubborn for ")
    assert __file__ in line
    assert await closing.stored() == set()
    go_on.set()
    await asyncio.wait((task,), timeout=5)
    assert task.done()
    task.exception()
    assert await closing.stored() == set()


async def test_nothing_new_begins_while_it_drains(closing: Closing) -> None:
    unit = await begun(closing.container, "kept")
    leaving = asyncio.create_task(closing.close())
    await asyncio.sleep(0.1)
    with pytest.raises(ContainerClosed, match="is being closed, and nothing new begins in it"):
        async with closing.container.transaction()():
            pytest.fail("nothing may begin")
    with pytest.raises(ContainerClosed):
        await closing.container.user_dao().count().rows()
    with pytest.raises(ContainerClosed):
        async with running(closing.container):
            pytest.fail("it is on its way out")
    unit.go_on.set()
    await leaving
    with pytest.raises(ContainerClosed, match="this container was closed"):
        await closing.container.user_dao().count().rows()


async def test_what_an_open_unit_needs_for_its_end_begins(closing: Closing) -> None:
    container = closing.container
    entered, go_on = asyncio.Event(), asyncio.Event()
    hooked: list[int] = []

    async def hook() -> None:
        async with container.transaction()() as transaction:
            await write(transaction.session, "hook")
        hooked.append(await container.user_dao().count().rows())

    async def unit() -> None:
        transaction = container.transaction()
        async with transaction() as outer:
            outer.after_commit(hook)
            entered.set()
            await go_on.wait()
            async with transaction(Propagation.REQUIRES_NEW, read_only=True) as inner:
                hooked.append((await inner.session.execute(text("SELECT 42"))).scalar_one())
            await write(outer.session, "outer")

    task = asyncio.create_task(unit())
    await entered.wait()
    leaving = asyncio.create_task(closing.close())
    await asyncio.sleep(0.05)
    go_on.set()
    await task
    await leaving
    assert hooked == [42, 0]
    assert await closing.stored() == {"outer", "hook"}


@pytest.mark.parametrize("error", [ZeroDivisionError, asyncio.CancelledError, KeyboardInterrupt])
async def test_however_it_is_left_it_drains(settings: Settings, error: type[BaseException]) -> None:
    closing = Closing(settings)
    units = []

    async def work() -> None:
        async with running(closing.container) as container:
            await create_tables(container)
            units.append(await begun(container, "kept"))
            asyncio.get_running_loop().call_later(0.1, units[0].go_on.set)
            raise error

    with pytest.raises(error):
        await work()
    await units[0].task
    assert await closing.stored() == {"kept"}


async def test_left_by_a_timeout_or_an_anyio_scope_it_drains(settings: Settings) -> None:
    async def work(closing: Closing, words: str) -> None:
        async with running(closing.container) as container:
            await create_tables(container)
            unit = await begun(container, words)
            asyncio.get_running_loop().call_later(0.7, unit.go_on.set)
            await asyncio.sleep(60)

    closing = Closing(settings, drain_timeout=5.0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await work(closing, "one")
    closing = Closing(settings, drain_timeout=5.0)
    with anyio.move_on_after(0.5) as scope:
        await work(closing, "two")
    assert scope.cancelled_caught
    assert await closing.stored() == {"one", "two"}


async def test_a_cancellation_while_it_drains_ends_the_patience_and_leaves_nothing_open(settings: Settings) -> None:
    closing = Closing(settings, drain_timeout=30.0)
    await closing.open()
    unit = await begun(closing.container, "lost")
    leaving = asyncio.create_task(closing.close())
    for _ in range(3):
        await asyncio.sleep(0.02)
        leaving.cancel()
    begun_at = time.perf_counter()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert time.perf_counter() - begun_at < BOUND
    with pytest.raises(asyncio.CancelledError):
        await unit.task
    assert unit.cancellations == 1
    assert await closing.stored() == set()
    with pytest.raises(ContainerClosed):
        closing.container.engine()


async def test_whoever_leaves_does_not_wait_for_itself(closing: Closing, caplog: pytest.LogCaptureFixture) -> None:
    block = closing.container.transaction()(name="forgotten")
    transaction = await block.__aenter__()
    await write(transaction.session, "lost")
    with caplog.at_level(logging.WARNING, "unitwork.database"):
        took = await closing.close()
    assert took < DRAIN
    assert "forgotten for " in caplog.text
    assert await closing.stored() == set()
    with suppress(Exception):
        await block.__aexit__(None, None, None)


async def test_another_container_on_the_same_database_goes_on(closing: Closing, settings: Settings) -> None:
    async with running(Container(settings=settings)) as other:
        units = [await begun(closing.container, "one")]
        units[0].go_on.set()
        await units[0].task
        mine = await begun(other, "other")
        assert await closing.close() < DRAIN
        mine.go_on.set()
        await mine.task
        assert mine.outcome is Outcome.COMMITTED
        async with other.session_provider()() as session:
            assert (await session.execute(text("SELECT count(*) FROM notes"))).scalar_one() == 2

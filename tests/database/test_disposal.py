"""Closing in bounded time, whatever the server does: figures with a server that is stopped (SIGSTOP)."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from containers import Container, running
from settings import Settings
from tests.database.tables import create_tables, write
from tests.faults.private_postgresql import PrivatePostgresql
from tests.patience import until

DISPOSED_WITHIN = 0.6
DRAIN = 0.5
POOL = 5


async def no_backends(server: PrivatePostgresql, settings: Settings) -> bool:
    return not await server.backends(settings.database.url.database or "")


@asynccontextmanager
async def pool_of_five(settings: Settings) -> AsyncIterator[tuple[Container, list[int], "list[float]"]]:
    """A container with five idle connections, their backends' ids, and at the end the seconds that closing took."""
    took: list[float] = []
    entered = running(Container(settings=settings))
    container = await entered.__aenter__()
    async with AsyncExitStack() as stack:
        pids = []
        for _ in range(POOL):
            connection = await stack.enter_async_context(container.engine().connect())
            pids.append(int((await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()))
    assert len(set(pids)) == POOL
    yield container, pids, took
    begun = time.perf_counter()
    await entered.__aexit__(None, None, None)
    took.append(time.perf_counter() - begun)
    print(f"{POOL} connections closed after {took[0]:.2f} s")


async def test_five_idle_connections_are_closed_at_once_and_the_server_is_told(
    private_postgresql: PrivatePostgresql, private_settings: Callable[..., Settings]
) -> None:
    settings = private_settings()
    async with pool_of_five(settings) as (_, _, took):
        pass
    assert took[0] <= DISPOSED_WITHIN
    await until(partial(no_backends, private_postgresql, settings))


async def test_five_hung_connections_give_control_back_in_time(
    private_postgresql: PrivatePostgresql, private_settings: Callable[..., Settings]
) -> None:
    settings = private_settings()
    async with pool_of_five(settings) as (_, pids, took):
        for pid in (*pids, private_postgresql.postmaster):
            private_postgresql.freeze(pid)
    assert took[0] <= DISPOSED_WITHIN
    private_postgresql.thaw_all()
    await until(partial(no_backends, private_postgresql, settings))


async def test_cancelled_while_it_closes_hung_connections_it_still_closes_them(
    private_postgresql: PrivatePostgresql, private_settings: Callable[..., Settings]
) -> None:
    settings = private_settings()
    drivers: list[Any] = []

    async def work() -> None:
        async with pool_of_five(settings) as (container, pids, _):
            async with AsyncExitStack() as stack:
                for _ in pids:
                    connection = await stack.enter_async_context(container.engine().connect())
                    drivers.append((await connection.get_raw_connection()).driver_connection)
            for pid in (*pids, private_postgresql.postmaster):
                private_postgresql.freeze(pid)
            asyncio.get_running_loop().call_later(0.05, task.cancel)
            asyncio.get_running_loop().call_later(0.1, task.cancel)

    task = asyncio.create_task(work())
    begun = time.perf_counter()
    with pytest.raises(asyncio.CancelledError):
        await task
    print(f"cancelled, and back after {time.perf_counter() - begun:.2f} s")
    assert [driver.is_closed() for driver in drivers] == [True] * POOL


@pytest.mark.parametrize("in_use", [1, POOL])
async def test_units_that_hang_in_a_statement_are_cancelled_and_closing_is_bounded(
    private_postgresql: PrivatePostgresql,
    private_settings: Callable[..., Settings],
    in_use: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = private_settings(drain_timeout=DRAIN)
    entered = running(Container(settings=settings))
    container = await entered.__aenter__()
    await create_tables(container)
    frozen: list[int] = []
    tasks = []

    async def hang(number: int) -> None:
        async with container.transaction()(name=f"unit {number}") as transaction:
            pid = (await transaction.session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            private_postgresql.freeze(pid)
            frozen.append(pid)
            await write(transaction.session, f"never {number}")

    tasks = [asyncio.create_task(hang(number)) for number in range(in_use)]
    await until(lambda: len(frozen) == in_use)
    private_postgresql.freeze(private_postgresql.postmaster)
    begun = time.perf_counter()
    with caplog.at_level(logging.WARNING, "unitwork.database"):
        await entered.__aexit__(None, None, None)
    took = time.perf_counter() - begun
    print(f"closed with {in_use} hung units after {took:.2f} s, the drain being {DRAIN} s")
    assert DRAIN <= took <= DRAIN + 2
    assert "cancelled when the container closed: unit 0 for " in caplog.text
    done, pending = await asyncio.wait(tasks, timeout=1)
    assert not pending
    assert all(task.cancelled() or task.exception() for task in done)


async def test_a_sqlite_connection_whose_thread_hangs_does_not_hold_up_the_others(
    tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(database={"url": f"sqlite:///{tmp_path}/hung.db"}, var_dir=tmp_path)
    release, before = threading.Event(), asyncio.all_tasks()
    entered = running(Container(settings=settings))
    container = await entered.__aenter__()
    async with container.engine().connect() as one, container.engine().connect() as two:
        drivers: list[Any] = [(await connection.get_raw_connection()).driver_connection for connection in (one, two)]
    drivers[0]._tx.put_nowait((None, release.wait))  # a call that doesn't come back
    begun = time.perf_counter()
    await entered.__aexit__(None, None, None)
    took = time.perf_counter() - begun
    print(f"closed with a hung thread after {took:.2f} s")
    try:
        assert took <= DISPOSED_WITHIN
        assert drivers[1]._connection is None
    finally:
        release.set()
    await until(lambda: not drivers[0]._thread.is_alive())
    for goodbye in (left := asyncio.all_tasks() - before):  # as `asyncio.run` does at its end
        goodbye.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


async def test_a_sqlite_connection_that_closes_at_this_moment_does_not_hold_up_the_container(tmp_path: Any) -> None:
    """Its thread has closed it, and the loop hasn't heard of it."""
    settings = Settings(database={"url": f"sqlite:///{tmp_path}/closed.db"}, var_dir=tmp_path)
    entered = running(Container(settings=settings))
    container = await entered.__aenter__()
    connection = await container.engine().connect()
    driver: Any = (await connection.get_raw_connection()).driver_connection
    await driver._execute(driver._conn.close)
    await entered.__aexit__(None, None, None)
    await connection.invalidate()

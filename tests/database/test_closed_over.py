"""A container that closes over a unit which is still open: its work is undone, and nobody waits for its locks."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from containers import Container, running
from domain import User
from settings import Settings
from unitwork.models import SYSTEM, acting_as

HELD: list[Any] = []


@pytest.fixture
def database_mode() -> str:
    """Looked at over other connections."""
    return "own"


@pytest.fixture(autouse=True)
def _forget() -> Any:
    yield
    HELD.clear()
    gc.collect()  # here, where the warnings about them are ignored, and not in the next test


async def a_block_not_left(container: Container) -> None:
    block = container.transaction()()
    HELD.append(block)
    await _write((await block.__aenter__()).session)


async def a_generator_not_closed(container: Container) -> None:
    async def sessions() -> AsyncIterator[AsyncSession]:
        async with container.session_provider()() as session:
            yield session

    generator = sessions()
    HELD.append(generator)
    await _write(await anext(generator))


async def a_stream_half_read(container: Container) -> None:
    block = container.transaction()()
    session = (await block.__aenter__()).session
    await _write(session)
    rows = await session.stream(text("SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3"))
    await rows.fetchone()
    HELD.extend((block, rows))


async def a_cursor_half_read(container: Container) -> None:
    block = container.transaction()()
    session = (await block.__aenter__()).session
    await _write(session)
    raw = await (await session.connection()).get_raw_connection()
    HELD.extend((block, raw))
    if session.get_bind().dialect.name == "sqlite":
        driver: Any = raw.driver_connection
        cursor = await driver.execute("SELECT 1 UNION ALL SELECT 2")
        await cursor.fetchone()
        HELD.append(cursor)


async def a_savepoint(container: Container) -> None:
    block = container.transaction()()
    session = (await block.__aenter__()).session
    savepoint = await session.begin_nested()
    await _write(session)
    HELD.extend((block, savepoint))


async def a_connection_of_the_engines(container: Container) -> None:
    connection = await container.engine().connect()
    HELD.append(connection)
    await connection.execute(text("UPDATE users SET display_name = 'lost'"))


async def another_tasks_block(container: Container) -> None:
    """Its task is alive, and at nothing of the database's."""
    entered = asyncio.Event()

    async def work() -> None:
        async with container.transaction()() as tx:
            await _write(tx.session)
            entered.set()
            while True:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    if len(HELD) > 1:
                        raise
                    HELD.append(None)  # it is stubborn, once

    HELD.append(asyncio.create_task(work()))
    await entered.wait()


async def _write(session: AsyncSession) -> None:
    await session.execute(text("UPDATE users SET display_name = 'lost'"))


@pytest.mark.filterwarnings("ignore:The garbage collector is trying to clean up")
@pytest.mark.filterwarnings("ignore:Previous unbuffered result was left incomplete")
@pytest.mark.parametrize(
    "leave_open",
    [
        a_block_not_left,
        a_generator_not_closed,
        a_stream_half_read,
        a_cursor_half_read,
        a_savepoint,
        a_connection_of_the_engines,
        another_tasks_block,
    ],
)
async def test_a_container_that_closes_over_an_open_unit_holds_no_lock(
    settings: Settings, backend: str, leave_open: Callable[[Container], Awaitable[None]]
) -> None:
    database = settings.database.model_copy(update={"drain_timeout": 0.05})
    async with running(Container(settings=settings.model_copy(update={"database": database}))) as container:
        with acting_as(SYSTEM):
            await container.user_dao().add(User.create({"email": "a@example.com", "display_name": "kept"}))
        await leave_open(container)
    # At once: on SQLite the file's writer is free, elsewhere the row.
    engine = create_async_engine(settings.database.url, poolclass=NullPool)
    try:
        async with asyncio.timeout(30.0), engine.connect() as connection:
            if backend == "sqlite":
                await connection.exec_driver_sql("PRAGMA busy_timeout = 0")
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
            assert await connection.scalar(text("SELECT display_name FROM users")) == "kept"
            await connection.execute(text("UPDATE users SET display_name = 'next'"))
            await connection.commit()
            if backend == "postgresql":
                query = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
                found: list[int] = []
                for _ in range(50):
                    found.append((await connection.scalar(query)) or 0)
                    await connection.rollback()
                    if found[-1] == 1:
                        break
                    await asyncio.sleep(0.02)
                assert found[-1] == 1
    finally:
        await engine.dispose()

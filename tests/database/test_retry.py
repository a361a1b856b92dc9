"""execute_transaction with `retry`: what is tried again, how often, and by whom."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from containers import Container, running
from settings import Settings
from tests.database.attempts import SOON, UNDONE, Work
from tests.database.tables import create_tables, stored, write
from unitwork import Propagation, Retry, TransactionProvider, execute_transaction
from unitwork.errors import (
    CommitOutcomeUnknown,
    DeadlockDetected,
    LockNotAvailable,
    PoolTimeout,
    SerializationFailure,
    StaleVersion,
    StatementTimeout,
    TransactionRolledBack,
    UniqueViolation,
)

FINAL = [
    ValueError("the callback's own"),
    UniqueViolation(constraint="notes_text_key", sqlstate="23505"),
    LockNotAvailable("NOWAIT was asked for", sqlstate="55P03"),
    StatementTimeout("canceling statement due to statement timeout", sqlstate="57014"),
    StaleVersion(),
    PoolTimeout(size=1, timeout=3),
    CommitOutcomeUnknown(),
    TransactionRolledBack(),
    StopAsyncIteration(),
    asyncio.CancelledError(),
    KeyboardInterrupt(),
]


@pytest.mark.parametrize("error", UNDONE, ids=str)
async def test_what_was_undone_is_done_again_whole_with_a_new_session(with_tables: Container, error: Exception) -> None:
    work = Work(error, failures=2)
    assert await execute_transaction(with_tables.transaction(), work, retry=SOON) == 3
    assert len({id(session) for session in work.sessions}) == 3
    assert work.hooks == ["1 rolled back", "2 rolled back", "3 committed"]
    assert await stored(with_tables) == {"kept"}


@pytest.mark.parametrize("attempts", [1, 2, 4])
async def test_the_last_error_leaves_unchanged_when_the_attempts_are_used_up(
    with_tables: Container, attempts: int
) -> None:
    work = Work(SerializationFailure("again and again", sqlstate="40001"), failures=99)
    with pytest.raises(SerializationFailure) as raised:
        await execute_transaction(
            with_tables.session_provider(), work, retry=Retry(attempts=attempts, wait_initial=0, jitter=0)
        )
    assert raised.value is work.error
    assert raised.value.__cause__ is None
    assert len(work.sessions) == attempts
    assert await stored(with_tables) == set()


@pytest.mark.parametrize("error", FINAL, ids=lambda error: type(error).__name__)
async def test_any_other_error_leaves_at_once(with_tables: Container, error: BaseException) -> None:
    work = Work(error, failures=99)
    with pytest.raises(type(error)) as raised:
        await execute_transaction(with_tables.transaction(), work, retry=SOON)
    assert raised.value is error
    assert len(work.sessions) == 1
    assert await stored(with_tables) == set()


@pytest.mark.parametrize("retry", [None, 1])
async def test_nothing_is_tried_again_unless_asked_for(with_tables: Container, retry: int | None) -> None:
    work = Work(UNDONE[0], failures=99)
    with pytest.raises(SerializationFailure):
        await execute_transaction(with_tables.transaction(), work, retry=retry)
    assert len(work.sessions) == 1


async def test_a_callback_that_caught_the_error_is_run_again_too(
    with_tables: Container, transaction: TransactionProvider
) -> None:
    runs = 0

    async def catches(session: AsyncSession) -> int:
        nonlocal runs
        runs += 1
        await write(session, "kept")
        if runs == 1:
            with pytest.raises(DeadlockDetected):
                async with transaction():
                    raise DeadlockDetected("deadlock detected", sqlstate="40P01")
        return runs

    assert await execute_transaction(transaction, catches, retry=SOON) == 2
    assert await stored(with_tables) == {"kept"}


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_connection_that_dies_at_work_costs_an_attempt(with_tables: Container) -> None:
    runs = 0

    async def dies_once(session: AsyncSession) -> None:
        nonlocal runs
        runs += 1
        await write(session, "kept")
        if runs == 1:
            backend = await session.scalar(select(func.pg_backend_pid()))
            async with with_tables.engine().connect() as other:
                await other.exec_driver_sql(f"SELECT pg_terminate_backend({backend})")
        await write(session, "kept too")

    await execute_transaction(with_tables.transaction(), dies_once, retry=SOON)
    assert runs == 2
    assert await stored(with_tables) == {"kept", "kept too"}


@pytest.mark.parametrize("propagation", [Propagation.REQUIRED, Propagation.NESTED])
async def test_where_it_joins_the_callback_runs_once(
    with_tables: Container, transaction: TransactionProvider, propagation: Propagation
) -> None:
    work = Work(UNDONE[0], failures=1)
    with pytest.raises(SerializationFailure) as raised:
        async with transaction():
            await execute_transaction(transaction, work, propagation=propagation, retry=SOON)
    assert raised.value is work.error
    assert len(work.sessions) == 1
    assert await stored(with_tables) == set()


async def test_a_session_providers_block_is_joined_too(with_tables: Container) -> None:
    work = Work(UNDONE[0], failures=1)
    with pytest.raises(SerializationFailure):
        async with with_tables.session_provider()():
            await execute_transaction(with_tables.session_provider(), work, retry=SOON)
    assert len(work.sessions) == 1


async def test_whoever_began_tries_again_what_joined(with_tables: Container, transaction: TransactionProvider) -> None:
    inner = Work(UNDONE[0], failures=2)

    async def outer(session: AsyncSession) -> int:
        await write(session, "outer")
        return await execute_transaction(transaction, inner, retry=50)

    assert await execute_transaction(transaction, outer, retry=SOON) == 3
    assert await stored(with_tables) == {"outer", "kept"}


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_an_independent_transaction_inside_another_is_tried_again_alone(
    with_tables: Container, transaction: TransactionProvider
) -> None:
    inner = Work(UNDONE[0], failures=1)
    async with transaction() as outer:
        await write(outer.session, "outer")
        await execute_transaction(transaction, inner, propagation=Propagation.REQUIRES_NEW, retry=SOON)
    assert len(inner.sessions) == 2
    assert await stored(with_tables) == {"outer", "kept"}


@pytest.mark.parametrize(
    "mode", [Propagation.MANDATORY, Propagation.SUPPORTS, Propagation.NOT_SUPPORTED, Propagation.NEVER]
)
async def test_a_mode_that_begins_none_takes_no_retry(with_tables: Container, mode: Propagation) -> None:
    with pytest.raises(ValueError, match=f"{mode.name} begins none"):
        await execute_transaction(with_tables.transaction(), Work(UNDONE[0], failures=0), propagation=mode, retry=2)


async def test_over_a_foreign_provider_the_types_of_errors_count(with_tables: Container) -> None:
    maker = async_sessionmaker(with_tables.engine())

    @asynccontextmanager
    async def provider(*, autoflush: bool = True, read_only: bool = False) -> AsyncIterator[AsyncSession]:
        async with maker.begin() as session:
            yield session

    for source in (provider, TransactionProvider(provider)):
        work = Work(UNDONE[0], failures=2, note=type(source).__name__)
        assert await execute_transaction(source, work, retry=SOON) == 3
        assert work.hooks == ["1 rolled back", "2 rolled back", "3 committed"]
    assert await stored(with_tables) == {"function", "TransactionProvider"}


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_a_busy_sqlite_is_tried_again(database_url: str) -> None:
    async with running(
        Container(settings=Settings(database={"url": database_url, "statement_timeout": 0.1}, node_id=1))
    ) as container:
        await create_tables(container)
        other = sqlite3.connect(container.settings().database.url.database or "", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        runs = 0

        async def waits(session: AsyncSession) -> None:
            nonlocal runs
            runs += 1
            if runs == 2:
                other.execute("ROLLBACK")
            await write(session, "kept")

        try:
            await execute_transaction(container.transaction(), waits, retry=SOON)
        finally:
            other.close()
        assert runs == 2
        assert await stored(container) == {"kept"}

"""After something was refused or failed: the next statement, the next unit, the next owner of the connection."""

import asyncio
import logging
import time

import pytest
from sqlalchemy import text

from containers import Container, running
from domain import User
from settings import Settings
from tests.database.tables import create_tables, stored, write
from tests.database.test_joining import LONG_QUERY
from unitwork import Outcome, Propagation, TransactionProvider
from unitwork.errors import (
    LockNotAvailable,
    ReadOnlyTransaction,
    TransactionIsOurs,
    TransactionRolledBack,
    TransactionTimeout,
    UniqueViolation,
)
from unitwork.models import SYSTEM, acting_as


async def test_a_write_refused_as_text_leaves_no_connection_that_refuses_writes(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    with pytest.raises(TransactionRolledBack):
        async with transaction(), with_tables.session_provider()(read_only=True) as session:
            with pytest.raises(ReadOnlyTransaction):
                await session.execute(text("INSERT INTO notes (id, text) VALUES (1, 'no')"))
    async with transaction() as tx:
        await write(tx.session, "kept")
    assert await stored(with_tables) == {"kept"}


async def test_without_a_transaction_a_caught_error_undoes_nothing_and_work_goes_on(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    async with transaction(Propagation.NOT_SUPPORTED) as tx:
        await write(tx.session, "one")
        with pytest.raises(UniqueViolation):
            await write(tx.session, "one")
        await write(tx.session, "two")
    assert tx.outcome is None
    assert await stored(with_tables) == {"one", "two"}


async def test_without_a_transaction_a_failed_flush_is_forgotten(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    with acting_as(SYSTEM):
        async with transaction(Propagation.NOT_SUPPORTED) as tx:
            tx.session.add(User.create({"email": "one@example.com"}))
            await tx.session.flush()
            tx.session.add(User.create({"email": "ONE@example.com"}))
            with pytest.raises(UniqueViolation):
                await tx.session.flush()
            await write(tx.session, "after")
    assert await stored(with_tables) == {"after"}


async def test_a_statement_after_a_failed_flush_says_what_had_failed(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    with acting_as(SYSTEM), pytest.raises(TransactionRolledBack):
        async with transaction() as tx:
            tx.session.add_all([User.create({"email": "a@example.com"}), User.create({"email": "A@example.com"})])
            with pytest.raises(UniqueViolation):
                await tx.session.flush()
            with pytest.raises(TransactionRolledBack) as caught:
                await write(tx.session, "no")
            assert isinstance(caught.value.__cause__, UniqueViolation)


async def test_a_statement_after_a_cancelled_one_is_refused_and_nothing_is_stored(
    transaction: TransactionProvider, with_tables: Container, backend: str
) -> None:
    with pytest.raises(TransactionRolledBack):
        async with transaction() as tx:
            await write(tx.session, "lost")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await tx.session.execute(text(LONG_QUERY[backend]))
            with pytest.raises(TransactionRolledBack):
                await write(tx.session, "no")
    assert tx.outcome is Outcome.ROLLED_BACK
    assert await stored(with_tables) == set()
    assert with_tables.schema().connections_in_use == 0


@pytest.mark.parametrize("statement", ["COMMIT", " commit ", "ROLLBACK", "BEGIN", "end"])
async def test_ending_the_transaction_in_text_is_refused(
    transaction: TransactionProvider, with_tables: Container, statement: str
) -> None:
    with pytest.raises(RuntimeError):
        async with transaction() as tx:
            await write(tx.session, "lost")
            with pytest.raises(TransactionIsOurs):
                await tx.session.execute(text(statement))
            raise RuntimeError
    assert await stored(with_tables) == set()


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_hooks_of_an_independent_transaction_use_daos_while_the_outer_one_is_open(
    transaction: TransactionProvider, with_tables: Container, caplog: pytest.LogCaptureFixture
) -> None:
    counted: list[int] = []

    async def count() -> None:
        counted.append(await with_tables.user_dao().count().rows())

    with caplog.at_level(logging.ERROR):
        async with transaction() as outer:
            await write(outer.session, "outer")
            async with transaction(Propagation.REQUIRES_NEW) as inner:
                inner.after_commit(count)
    assert counted == [0]
    assert not caplog.records


@pytest.mark.parametrize("propagation", [Propagation.SUPPORTS, Propagation.NOT_SUPPORTED, Propagation.NEVER])
async def test_a_block_without_a_transaction_inside_another_keeps_its_own_options(
    transaction: TransactionProvider, with_tables: Container, propagation: Propagation
) -> None:
    async with transaction(Propagation.NOT_SUPPORTED):
        async with transaction(propagation, read_only=True) as reader:
            with pytest.raises(ReadOnlyTransaction):
                await reader.session.execute(text("INSERT INTO notes (id, text) VALUES (1, 'no')"))
            with pytest.raises(ReadOnlyTransaction):
                await write(reader.session, "no")
        with pytest.raises(TransactionTimeout):
            async with transaction(propagation, timeout=0.05):
                await asyncio.sleep(5)
        async with transaction(propagation) as writer:
            await write(writer.session, "kept")
    assert await stored(with_tables) == {"kept"}


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_writers_on_sqlite_take_turns_in_order_and_hold_no_connection_while_they_wait(settings: Settings) -> None:
    small = settings.database.model_copy(update={"pool_size": 2, "max_overflow": 0, "pool_timeout": 0.5})
    async with running(Container(settings=settings.model_copy(update={"database": small}))) as container:
        await create_tables(container)
        transaction = container.transaction()
        order: list[int] = []

        async def writer(number: int) -> None:
            async with transaction() as tx:
                await write(tx.session, str(number))
                await asyncio.sleep(0.03)
                order.append(number)

        async with asyncio.TaskGroup() as group:
            for number in range(40):
                group.create_task(writer(number))
                await asyncio.sleep(0)
            await asyncio.sleep(0.2)
            assert await container.user_dao().count().rows() == 0  # a reader finds a connection
        assert order == list(range(40))


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_a_timeout_ends_the_wait_for_the_writer(transaction: TransactionProvider) -> None:
    async def waits() -> None:
        async with transaction(timeout=0.1) as tx:
            await write(tx.session, "never")

    async with transaction() as tx:
        await write(tx.session, "holds")
        begun = time.perf_counter()
        with pytest.raises((TransactionTimeout, LockNotAvailable)):
            await asyncio.create_task(waits())
        assert time.perf_counter() - begun < 1

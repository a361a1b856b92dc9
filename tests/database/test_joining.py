"""What joining asks of the ambient transaction: reading only, isolation, timeout, no autoflush."""

import asyncio
import time

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container
from domain import User
from tests.database.tables import notes, stored, write
from unitwork import Outcome, Propagation, TransactionProvider
from unitwork.errors import (
    IncompatibleTransaction,
    NoActiveTransaction,
    ReadOnlyTransaction,
    SessionBelongsToAnotherTask,
    TransactionTimeout,
)
from unitwork.models import SYSTEM, acting_as


@pytest.mark.parametrize("write_by", ["construct", "flush", "text"])
async def test_a_read_only_transaction_refuses_every_write(
    transaction: TransactionProvider, with_tables: Container, write_by: str
) -> None:
    with pytest.raises(ReadOnlyTransaction):
        async with transaction(read_only=True) as tx:
            await _write_by(tx.session, write_by)
    assert await stored(with_tables) == set()
    async with transaction() as tx:
        await write(tx.session, "the connection writes again")


async def _write_by(session: AsyncSession, way: str) -> None:
    if way == "construct":
        await write(session, "no")
    elif way == "text":
        await session.execute(text("INSERT INTO notes (id, text) VALUES (1, 'no')"))
    else:
        with acting_as(SYSTEM):
            session.add(User.create({"email": "no@example.com"}))
            await session.flush()


@pytest.mark.parametrize("write_by", ["construct", "flush", "text"])
async def test_reading_only_inside_a_read_write_transaction_refuses_writes_for_that_block(
    transaction: TransactionProvider, with_tables: Container, backend: str, write_by: str
) -> None:
    if (backend, write_by) == ("mariadb", "text"):
        return  # it can't be asked to refuse writes for a part of a transaction
    async with transaction() as tx:
        await write(tx.session, "before")
        with pytest.raises(ReadOnlyTransaction):
            async with transaction(Propagation.NESTED), with_tables.session_provider()(read_only=True) as session:
                assert await session.scalar(select(func.count()).select_from(notes)) == 1
                await _write_by(session, write_by)
        tx.session.expunge_all()
        await write(tx.session, "after")
    assert await stored(with_tables) == {"before", "after"}


async def test_text_that_reads_is_let_through_and_writing_works_again_afterwards(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    async with transaction() as tx:
        async with transaction(read_only=True) as reader:
            assert (await reader.session.execute(text("SELECT 1"))).scalar_one() == 1
        await write(tx.session, "kept")
    assert await stored(with_tables) == {"kept"}


async def test_a_transaction_that_may_write_does_not_join_one_that_reads_only(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    async with transaction(read_only=True):
        with pytest.raises(IncompatibleTransaction):
            async with transaction():
                pass
        async with transaction(read_only=True):
            pass
        async with with_tables.session_provider()() as session:
            with pytest.raises(ReadOnlyTransaction):
                await write(session, "no")
    assert await stored(with_tables) == set()


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_isolation_is_given_where_it_begins_and_must_agree_where_it_joins(
    transaction: TransactionProvider,
) -> None:
    async with transaction(isolation="serializable") as tx:
        level = (await tx.session.execute(text("SHOW transaction_isolation"))).scalar_one()
        assert level == "serializable"
        async with transaction(isolation="SERIALIZABLE"), transaction():
            pass
        with pytest.raises(IncompatibleTransaction):
            async with transaction(isolation="READ COMMITTED"):
                pass
    async with transaction() as tx:
        assert (await tx.session.execute(text("SHOW transaction_isolation"))).scalar_one() == "read committed"


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_sqlite_accepts_every_isolation(transaction: TransactionProvider) -> None:
    async with transaction(isolation="READ COMMITTED"), transaction(isolation="SERIALIZABLE"):
        pass


async def test_an_unknown_isolation_names_the_known_ones(transaction: TransactionProvider) -> None:
    with pytest.raises(ValueError, match="REPEATABLE READ"):
        async with transaction(isolation="loose"):
            pass


async def test_a_block_that_takes_too_long_is_rolled_back(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    begun = time.perf_counter()
    with pytest.raises(TransactionTimeout) as caught:
        async with transaction(timeout=0.1) as tx:
            await write(tx.session, "lost")
            await asyncio.sleep(10)
    assert time.perf_counter() - begun < 1
    assert __file__ in caught.value.call_site
    assert tx.outcome is Outcome.ROLLED_BACK
    assert await stored(with_tables) == set()


async def test_the_earlier_deadline_wins(transaction: TransactionProvider, with_tables: Container) -> None:
    with pytest.raises(TransactionTimeout) as caught:
        async with transaction(timeout=30) as tx:
            await write(tx.session, "lost")
            async with transaction(timeout=0.05):
                await asyncio.sleep(10)
    assert caught.value.timeout == 0.05
    assert await stored(with_tables) == set()


async def test_a_timeout_of_the_callers_own_is_not_ours(transaction: TransactionProvider) -> None:
    with pytest.raises(TimeoutError):
        async with transaction(timeout=30):
            raise TimeoutError


async def test_autoflush_off_holds_for_the_block(transaction: TransactionProvider, with_tables: Container) -> None:
    with acting_as(SYSTEM):
        async with transaction() as tx:
            async with with_tables.session_provider()(autoflush=False) as session:
                session.add(User.create({"email": "new@example.com"}))
                assert await session.scalar(select(func.count()).select_from(User)) == 0
            assert await tx.session.scalar(select(func.count()).select_from(User)) == 1
        async with transaction(autoflush=False) as tx:
            tx.session.add(User.create({"email": "other@example.com"}))
            assert await tx.session.scalar(select(func.count()).select_from(User)) == 1
    assert await with_tables.user_dao().count().rows() == 2


@pytest.mark.parametrize("propagation", [Propagation.SUPPORTS, Propagation.NOT_SUPPORTED, Propagation.NEVER])
async def test_without_a_transaction_each_statement_stays_and_hooks_are_refused(
    transaction: TransactionProvider, with_tables: Container, propagation: Propagation
) -> None:
    with pytest.raises(RuntimeError):
        async with transaction(propagation) as tx:
            assert not tx.active
            await write(tx.session, "stays")
            assert await stored(with_tables) == {"stays"}
            with pytest.raises(NoActiveTransaction):
                tx.after_commit(list)
            with pytest.raises(NoActiveTransaction):
                tx.after_rollback(list)
            with pytest.raises(NoActiveTransaction):
                tx.set_rollback_only()
            with pytest.raises(NoActiveTransaction):
                async with transaction(Propagation.MANDATORY):
                    pass
            raise RuntimeError
    assert await stored(with_tables) == {"stays"}


async def test_a_call_inside_a_unit_is_bounded_with_asyncio_timeout(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    async with transaction() as tx:
        async with asyncio.timeout(5):
            await write(tx.session, "kept")
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_refused(tx.session))
        assert task.result() is True
    assert await stored(with_tables) == {"kept"}


async def _refused(session: AsyncSession) -> bool:
    try:
        await write(session, "no")
    except SessionBelongsToAnotherTask:
        return True
    return False


LONG_QUERY = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1e9) SELECT count(*) FROM n",
    "postgresql": "SELECT pg_sleep(20)",
    "mariadb": "SELECT SLEEP(20)",
}


async def test_a_statement_that_takes_too_long_is_given_up_and_the_next_unit_works(
    transaction: TransactionProvider, with_tables: Container, backend: str
) -> None:
    begun = time.perf_counter()
    with pytest.raises(TransactionTimeout):
        async with transaction(timeout=0.2) as tx:
            await tx.session.execute(text(LONG_QUERY[backend]))
    assert time.perf_counter() - begun < 2
    async with transaction() as tx:
        await write(tx.session, "kept")
    assert await stored(with_tables) == {"kept"}

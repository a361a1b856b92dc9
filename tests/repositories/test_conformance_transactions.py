"""Transactions: over the fake session provider a block does what it does over a database."""

import asyncio

import pytest

from tests.repositories.accounts import account
from tests.repositories.conformance import Subject, on_all
from unitwork import Outcome, Propagation, current_transaction, execute_transaction
from unitwork.errors import (
    IncompatibleTransaction,
    NoActiveTransaction,
    ReadOnlyTransaction,
    SessionEnded,
    TransactionIsOurs,
    TransactionNotAllowed,
    TransactionRolledBack,
    TransactionTimeout,
    UniqueViolation,
)

pytestmark = [on_all, pytest.mark.usefixtures("acting")]


async def test_a_block_that_ends_normally_commits_and_one_that_is_left_rolls_back(subject: Subject) -> None:
    async with subject.transaction() as kept:
        await subject.add("kept")
        assert kept.active
    with pytest.raises(LookupError):
        async with subject.transaction() as lost:
            await subject.add("lost")
            raise LookupError
    assert (kept.outcome, lost.outcome) == (Outcome.COMMITTED, Outcome.ROLLED_BACK)
    assert await subject.names() == ["kept"]


async def test_every_way_of_writing_is_undone(subject: Subject) -> None:
    changed, updated, deleted, purged = await subject.named("changed", "updated", "deleted", "purged")
    with pytest.raises(LookupError):
        async with subject.transaction():
            (await subject.users.get(changed.id)).display_name = "x"
            await subject.users.update().eq("id", updated.id).set(display_name="x").execute()
            await subject.users.soft_delete(deleted.id)
            await subject.users.purge(purged.id)
            await subject.users.add_many([account("x@example.com"), account("y@example.com")])
            assert len(await subject.names()) == 5
            raise LookupError
    assert await subject.names() == ["changed", "updated", "deleted", "purged"]
    assert [row.version for row in await subject.users.query().all()] == [1, 1, 1, 1]


async def test_what_is_inside_joins_and_the_outermost_block_commits(subject: Subject) -> None:
    provider = subject.container.session_provider()
    async with subject.transaction() as tx:
        for mode in (Propagation.REQUIRED, Propagation.MANDATORY, Propagation.SUPPORTS):
            async with subject.transaction(mode) as joined:
                assert joined is tx
        async with provider() as session:
            assert session is tx.session
            assert session.info["transaction"] is tx
        assert current_transaction() is tx
        await subject.add("a")
    assert await subject.names() == ["a"]


async def test_a_session_providers_block_is_a_unit_that_daos_join(subject: Subject) -> None:
    provider = subject.container.session_provider()
    async with provider() as session:
        await subject.add("kept")
        assert (await subject.users.query().one()) in session
        async with subject.transaction(Propagation.MANDATORY) as tx:
            assert tx.session is session
    with pytest.raises(LookupError):
        async with provider():
            await subject.add("lost")
            raise LookupError
    assert await subject.names() == ["kept"]
    assert await execute_transaction(provider, lambda _: subject.names()) == ["kept"]


async def test_hooks_run_after_the_outcome_they_wait_for(subject: Subject) -> None:
    seen: list[str] = []
    async with subject.transaction() as tx:
        tx.after_commit(lambda: seen.append("committed"))
        tx.after_rollback(lambda: seen.append("never"))
        with pytest.raises(LookupError):
            async with subject.transaction(Propagation.NESTED) as nested:
                nested.after_commit(lambda: seen.append("never"))
                nested.after_rollback(lambda: seen.append("savepoint"))
                raise LookupError
        assert seen == ["savepoint"]
    assert seen == ["savepoint", "committed"]


async def test_a_block_that_reads_only_refuses_writes(subject: Subject) -> None:
    (row,) = await subject.named("a")
    for refused in (
        lambda: subject.add("x"),
        lambda: subject.users.purge(row.id, version=1),
        lambda: subject.users.soft_delete(row.id, version=1),
    ):
        with pytest.raises(TransactionRolledBack):
            async with subject.transaction(read_only=True):
                assert await subject.users.get(row.id)
                with pytest.raises(ReadOnlyTransaction):
                    await refused()
    async with subject.transaction(read_only=True):
        with pytest.raises(ReadOnlyTransaction):
            await subject.users.update().eq("id", row.id).set(display_name="x").execute()
        assert await subject.users.get(row.id), "it was refused before it was sent"
    with pytest.raises(ReadOnlyTransaction):
        async with subject.container.session_provider()(read_only=True):
            (await subject.users.get(row.id)).display_name = "x"
    assert await subject.names() == ["a"]


async def test_a_locking_read_counts_as_a_write_where_there_is_one(subject: Subject) -> None:
    (row,) = await subject.named("a")
    if subject.backend == "sqlite":
        async with subject.transaction(read_only=True):
            assert await subject.users.get_locked(row.id)
        return
    with pytest.raises(TransactionRolledBack):
        async with subject.transaction(read_only=True):
            with pytest.raises(ReadOnlyTransaction):
                await subject.users.get_locked(row.id)


async def test_a_block_that_reads_only_inside_one_that_writes_refuses_writes_for_its_length(subject: Subject) -> None:
    (row,) = await subject.named("a")
    with pytest.raises(ReadOnlyTransaction):
        async with subject.transaction(), subject.transaction(read_only=True):
            assert await subject.users.get(row.id)
            with pytest.raises(ReadOnlyTransaction):
                await subject.add("x")
    async with subject.transaction():
        async with subject.transaction(read_only=True):
            assert await subject.users.get(row.id)
        await subject.add("b")
    async with subject.transaction(read_only=True):
        with pytest.raises(IncompatibleTransaction):
            async with subject.transaction():
                pass
    assert await subject.names() == ["a", "b"]


async def test_a_session_ends_with_its_block_and_only_with_it(subject: Subject) -> None:
    async with subject.transaction() as tx:
        for method in (tx.session.commit, tx.session.rollback, tx.session.close):
            with pytest.raises(TransactionIsOurs):
                await method()
        with pytest.raises(TransactionIsOurs):
            tx.session.begin()
        await subject.add("kept")
    with pytest.raises(SessionEnded):
        tx.session.add(account())
    with pytest.raises(SessionEnded):
        await tx.session.flush()
    assert await subject.names() == ["kept"]


async def test_without_autoflush_a_question_does_not_flush(subject: Subject) -> None:
    (row,) = await subject.named("a")
    async with subject.transaction(autoflush=False):
        (await subject.users.get(row.id)).display_name = "b"
        assert not await subject.users.query().eq("display_name", "b").exists()
        async with subject.transaction():
            assert not await subject.users.query().eq("display_name", "b").exists()
    assert await subject.names() == ["b"]


async def test_modes_that_want_a_transaction_or_none(subject: Subject) -> None:
    with pytest.raises(NoActiveTransaction):
        async with subject.transaction(Propagation.MANDATORY):
            pass
    async with subject.transaction():
        with pytest.raises(TransactionNotAllowed):
            async with subject.transaction(Propagation.NEVER):
                pass


@pytest.mark.parametrize("mode", [Propagation.SUPPORTS, Propagation.NOT_SUPPORTED, Propagation.NEVER])
async def test_without_a_transaction_what_was_done_stays(subject: Subject, mode: Propagation) -> None:
    with pytest.raises(LookupError):
        async with subject.transaction(mode) as tx:
            assert (tx.active, tx.outcome) == (False, None)
            await subject.add("stays")
            await subject.users.update().all_rows().set(phone="+14155550132").execute()
            with pytest.raises(UniqueViolation):
                await subject.add("stays")
            assert await subject.names() == ["stays"]
            await subject.add("stays too")
            with pytest.raises(NoActiveTransaction):
                tx.after_commit(print)
            raise LookupError
    assert tx.outcome is None
    assert await subject.users.query().scalars("phone") == ["+14155550132", None]


async def test_a_transaction_that_takes_too_long_rolls_back(subject: Subject) -> None:
    with pytest.raises(TransactionTimeout):
        async with subject.transaction(timeout=0.05):
            await subject.add("lost")
            await asyncio.sleep(60)
    assert await subject.names() == []

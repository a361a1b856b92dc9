"""Savepoints: what is undone is a part, in memory as on a database."""

import pytest
from sqlalchemy.exc import ResourceClosedError

from tests.repositories.accounts import account
from tests.repositories.conformance import Subject, on_all
from unitwork import Outcome, Propagation
from unitwork.errors import TransactionRolledBack, UniqueViolation

pytestmark = [on_all, pytest.mark.usefixtures("acting")]


async def test_nested_rolls_back_its_own_work_only(subject: Subject) -> None:
    (row,) = await subject.named("first")
    async with subject.transaction():
        found = await subject.users.get(row.id)
        found.display_name = "second"
        await subject.add("outer")
        with pytest.raises(LookupError):
            async with subject.transaction(Propagation.NESTED) as nested:
                found.display_name = "lost"
                await subject.add("inner")
                await subject.users.flush()
                assert await subject.names() == ["lost", "outer", "inner"]
                raise LookupError
        assert nested.outcome is Outcome.ROLLED_BACK
        assert await subject.names() == ["second", "outer"]
        assert (await subject.users.get(row.id)) is found
        assert (found.display_name, found.version) == ("second", 2)
        async with subject.transaction(Propagation.NESTED):
            found.display_name = "third"
            await subject.users.soft_delete(found.id)
        assert found.deleted
    assert (await subject.users.get(row.id, include_deleted=True)).version == 4
    assert await subject.names() == ["third", "outer"]


async def test_an_unflushed_change_of_a_nested_block_goes_with_it(subject: Subject) -> None:
    kept, purged = await subject.named("first", "purged")
    async with subject.transaction():
        found = await subject.users.get(kept.id)
        with pytest.raises(LookupError):
            async with subject.transaction(Propagation.NESTED):
                found.display_name = "lost"
                await subject.users.purge(purged.id)
                found.display_name = "lost too"
                raise LookupError
        assert [row.display_name for row in await subject.users.query().all()] == ["first", "purged"]
    assert await subject.names() == ["first", "purged"]


async def test_what_a_nested_block_changed_is_as_it_was_before_it(subject: Subject) -> None:
    _, read, _ = await subject.named("first", "read", "untouched")
    async with subject.transaction():
        rows = await subject.users.query().all()
        with pytest.raises(LookupError):
            async with subject.transaction(Propagation.NESTED):
                rows[0].display_name = rows[1].display_name = "lost"
                await subject.users.flush()
                raise LookupError
        assert (await subject.users.get(read.id)).display_name == "read"
    assert (rows[1].display_name, rows[2].display_name) == ("read", "untouched")
    assert (rows[0].display_name, rows[0].version) == ("first", 1)


async def test_a_refusal_in_a_nested_block_dooms_nothing_else(subject: Subject) -> None:
    await subject.add("taken")
    async with subject.transaction():
        await subject.add("kept")
        with pytest.raises(UniqueViolation):
            async with subject.transaction(Propagation.NESTED):
                await subject.add("lost")
                await subject.add("taken")
        with pytest.raises(TransactionRolledBack):
            async with subject.transaction(Propagation.NESTED):
                await subject.add("lost")
                with pytest.raises(UniqueViolation):
                    await subject.add("taken")
        await subject.add("kept too")
    assert await subject.names() == ["taken", "kept", "kept too"]


async def test_a_savepoint_that_fails_at_its_end_rolls_back_and_dooms_nothing_else(subject: Subject) -> None:
    await subject.add("taken")
    async with subject.transaction() as tx:
        await subject.add("kept")
        with pytest.raises(UniqueViolation):
            async with tx.session.begin_nested():
                tx.session.add(account("taken@example.com"))
        await subject.add("kept too")
        async with tx.session.begin_nested():
            tx.session.add(account("last@example.com", display_name="last"))
    assert await subject.names() == ["taken", "kept", "kept too", "last"]


async def test_a_savepoint_in_which_an_error_was_caught_dooms_the_transaction(subject: Subject) -> None:
    await subject.add("taken")
    await subject.add("other")
    update = subject.users.update().eq("display_name", "other").set(email_key="taken@example.com")
    with pytest.raises(TransactionRolledBack) as raised:
        async with subject.transaction() as tx:
            with pytest.raises(TransactionRolledBack):
                async with tx.session.begin_nested():
                    with pytest.raises(UniqueViolation):
                        await update.execute()
    assert isinstance(raised.value.__cause__, UniqueViolation)
    assert await subject.names() == ["taken", "other"]


async def test_savepoints_of_the_session_work(subject: Subject) -> None:
    async with subject.transaction() as tx:
        await subject.add("kept")
        with pytest.raises(LookupError):
            async with tx.session.begin_nested():
                await subject.add("lost")
                raise LookupError
        async with tx.session.begin_nested() as outer:
            await subject.add("lost")
            async with tx.session.begin_nested():
                await subject.add("lost too")
            await outer.rollback()
            assert not outer.is_active
        savepoint = await tx.session.begin_nested()
        await subject.add("kept too")
        await savepoint.commit()
        with pytest.raises(ResourceClosedError):
            await savepoint.rollback()
    assert await subject.names() == ["kept", "kept too"]

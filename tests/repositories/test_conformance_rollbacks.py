"""Rollbacks: what models show after one, in memory as on a database."""

import asyncio
import pickle
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import event, inspect, text

from domain import User
from tests.repositories.accounts import account
from tests.repositories.conformance import Subject, on_all
from unitwork import Outcome, Propagation, execute_transaction
from unitwork.errors import (
    ColumnNotLoaded,
    ForeignKeyViolation,
    SerializationFailure,
    TransactionRolledBack,
    UniqueViolation,
)

pytestmark = [on_all, pytest.mark.usefixtures("acting")]


@asynccontextmanager
async def _raised(subject: Subject) -> AsyncIterator[Any]:
    with suppress(LookupError):
        async with subject.transaction() as tx:
            yield tx.session
            raise LookupError


@asynccontextmanager
async def _provided(subject: Subject) -> AsyncIterator[Any]:
    with suppress(LookupError):
        async with subject.container.session_provider()() as session:
            yield session
            raise LookupError


@asynccontextmanager
async def _dry_run(subject: Subject) -> AsyncIterator[Any]:
    with pytest.raises(TransactionRolledBack):
        async with subject.transaction() as tx:
            yield tx.session
            tx.set_rollback_only()


@asynccontextmanager
async def _cancelled(subject: Subject) -> AsyncIterator[Any]:
    with suppress(asyncio.CancelledError):
        async with subject.transaction() as tx:
            yield tx.session
            raise asyncio.CancelledError


@asynccontextmanager
async def _doomed(subject: Subject) -> AsyncIterator[Any]:
    with pytest.raises(TransactionRolledBack):
        async with subject.transaction() as tx:
            yield tx.session
            with suppress(LookupError):
                async with subject.transaction():
                    raise LookupError


@asynccontextmanager
async def _failed_flush(subject: Subject) -> AsyncIterator[Any]:
    with pytest.raises(UniqueViolation):
        async with subject.transaction() as tx:
            yield tx.session
            tx.session.add(account("user0@example.com"))
            await tx.session.flush()


@asynccontextmanager
async def _caught_flush(subject: Subject) -> AsyncIterator[Any]:
    with pytest.raises(TransactionRolledBack):
        async with subject.transaction() as tx:
            yield tx.session
            tx.session.add(account("user0@example.com"))
            with suppress(UniqueViolation):
                await tx.session.flush()


@asynccontextmanager
async def _nested(subject: Subject) -> AsyncIterator[Any]:
    async with subject.transaction():
        with suppress(LookupError):
            async with subject.transaction(Propagation.NESTED) as tx:
                yield tx.session
                raise LookupError


@asynccontextmanager
async def _savepoint(subject: Subject) -> AsyncIterator[Any]:
    async with subject.transaction() as tx:
        with suppress(LookupError):
            async with tx.session.begin_nested():
                yield tx.session
                raise LookupError


@asynccontextmanager
async def _around_a_released_savepoint(subject: Subject) -> AsyncIterator[Any]:
    with suppress(LookupError):
        async with subject.transaction() as tx:
            async with subject.transaction(Propagation.NESTED):
                yield tx.session
            raise LookupError


@asynccontextmanager
async def _refused_before_commit(subject: Subject) -> AsyncIterator[Any]:
    """By a listener."""

    def refuse(_session: Any) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        async with subject.transaction() as tx:
            yield tx.session
            event.listen(tx.session.sync_session, "before_commit", refuse)
    assert tx.outcome is Outcome.ROLLED_BACK


@asynccontextmanager
async def _refused_at_commit(subject: Subject) -> AsyncIterator[Any]:
    """By a constraint that is looked at then, where the database has such."""
    if subject.backend not in {"sqlite", "postgresql"}:
        async with _refused_before_commit(subject) as session:
            yield session
        return
    async with subject.container.engine().begin() as connection:
        await connection.exec_driver_sql(
            "CREATE TABLE guests (host bigint REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED)"
        )
    with pytest.raises(ForeignKeyViolation):
        async with subject.transaction() as tx:
            yield tx.session
            await tx.session.execute(text("INSERT INTO guests VALUES (-1)"))
    assert tx.outcome is Outcome.ROLLED_BACK


WAYS = [
    _raised,
    _provided,
    _dry_run,
    _cancelled,
    _doomed,
    _failed_flush,
    _caught_flush,
    _nested,
    _savepoint,
    _around_a_released_savepoint,
    _refused_before_commit,
    _refused_at_commit,
]
Way = Callable[[Subject], AbstractAsyncContextManager[Any]]
every_way = pytest.mark.parametrize("way", WAYS, ids=[way.__name__[1:] for way in WAYS])


def _values(row: User) -> dict[str, Any]:
    return {name: getattr(row, name) for name in inspect(User).column_attrs.keys()}  # noqa: SIM118 - no mapping


@every_way
async def test_a_model_keeps_what_was_loaded_whatever_was_done_with_it(subject: Subject, way: Way) -> None:
    ids = [row.id for row in await subject.named("read", "changed", "flushed", "both", "updated", "deleted", "listed")]
    new = account("new@example.com", display_name="new")
    async with way(subject) as session:
        rows = [await subject.users.get(one) for one in ids]
        read, changed, flushed, both, updated, deleted, listed = rows
        before = [_values(row) for row in rows]
        flushed.display_name = both.display_name = "lost"
        session.add(new)
        await session.flush()
        assert flushed.version == 2
        await subject.users.update().eq("id", updated.id).set(display_name="lost").execute()
        (same,) = await subject.users.update().eq("id", listed.id).set(display_name="lost").returning()
        assert same is listed
        assert (updated.display_name, listed.display_name) == ("lost", "lost")
        await subject.users.purge(deleted.id)
        changed.display_name = both.display_name = "lost too"
    assert [_values(row) for row in rows] == before
    assert (read.display_name, new.display_name, new.version) == ("read", "new", 1)
    assert inspect(new).transient
    assert new.id not in ids
    stored = {row.id: _values(row) for row in await subject.users.query(include_deleted=True).all()}
    assert [stored[row.id] for row in rows] == before
    assert [_values(row) for row in pickle.loads(pickle.dumps(rows))] == before
    assert str(read.id) in repr(read)


@every_way
async def test_a_model_can_be_changed_and_stored_after_a_rollback(subject: Subject, way: Way) -> None:
    (row,) = await subject.named("first")
    async with way(subject) as session:
        found = await subject.users.get(row.id)
        found.display_name = "lost"
        await session.flush()
        found.display_name = "lost too"
    found.display_name = "second"
    await subject.users.add(found)
    assert (found.display_name, found.version) == ("second", 2)
    assert await subject.names() == ["second"]


async def test_a_savepoint_gives_back_what_was_there_when_it_began(subject: Subject) -> None:
    (row,) = await subject.named("loaded")
    with pytest.raises(LookupError):
        async with subject.transaction():
            found = await subject.users.get(row.id)
            found.display_name = "outer"
            with pytest.raises(ZeroDivisionError):
                async with subject.transaction(Propagation.NESTED):
                    found.display_name = "inner"
                    async with subject.transaction(Propagation.NESTED):
                        found.display_name = "innermost"
                    raise ZeroDivisionError
            assert (found.display_name, found.version) == ("outer", 2)
            async with subject.transaction(Propagation.NESTED):
                found.display_name = "kept"
            assert (found.display_name, found.version) == ("kept", 3)
            raise LookupError
    assert (found.display_name, found.version) == ("loaded", 1)


async def test_a_retry_can_use_the_models_of_an_attempt_that_failed(subject: Subject) -> None:
    (row,) = await subject.named("first")
    found = await subject.users.get(row.id)
    new = account("new@example.com", display_name="new")
    attempts = 0

    async def work(session: Any) -> None:
        nonlocal attempts
        attempts += 1
        session.add_all([found, new])
        found.display_name = "second"
        await session.flush()
        if attempts == 1:
            raise SerializationFailure("made up", sqlstate="40001")

    await execute_transaction(subject.transaction, work, retry=2)
    assert (attempts, found.version, await subject.names()) == (2, 2, ["second", "new"])


@pytest.mark.parametrize("propagation", [Propagation.NOT_SUPPORTED, Propagation.SUPPORTS, Propagation.NEVER])
async def test_without_a_transaction_what_was_stored_stays_with_its_model(
    subject: Subject, propagation: Propagation
) -> None:
    (row,) = await subject.named("first")
    new = account("new@example.com", display_name="new")
    with pytest.raises(UniqueViolation):
        async with subject.transaction(propagation) as tx:
            assert tx.outcome is None
            found = await subject.users.get(row.id)
            found.display_name = "stored"
            tx.session.add(new)
            await tx.session.flush()
            tx.session.add(account("new@example.com"))
            await tx.session.flush()
    assert (found.display_name, new.version) == ("stored", 1)
    assert await subject.names() == ["stored", "new"]


async def test_a_column_that_only_the_database_knows_is_refused_by_its_name(subject: Subject) -> None:
    (row,) = await subject.named("first")
    async with subject.transaction() as tx:
        found = await subject.users.get(row.id)
        tx.session.expire(found)
        with pytest.raises(ColumnNotLoaded, match=r"User\.display_name isn't loaded") as inside:
            assert found.display_name
        assert tx.outcome is None
        found = await subject.users.get(row.id)
        assert found.display_name == "first", "looking at it has harmed nothing"
        tx.session.expire(found, ["email"])
    with pytest.raises(ColumnNotLoaded, match=r"User\.email isn't loaded"):
        assert found.email
    assert (found.display_name, found.id) == ("first", row.id)
    error = pickle.loads(pickle.dumps(inside.value))
    assert (error.model, error.column, str(error)) == ("User", "display_name", str(inside.value))
    assert tx.outcome is Outcome.COMMITTED

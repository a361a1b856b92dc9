"""A change of one row is one UPDATE by the driver, after which all is as after a flush; a failing one is a flush."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, func, inspect, text
from sqlalchemy.orm import Session

from containers import Container
from tests.repositories.accounts import store_named
from tests.repositories.portraits import Seen, differing, seen
from tests.repositories.shelves import Keepsake
from tests.repositories.test_direct_statements import compiled, container, keepsakes, pytestmark
from unitwork import Propagation
from unitwork.audit import AuditTrail
from unitwork.audit.entry import AuditAction
from unitwork.dao import BaseDao
from unitwork.errors import ReadOnlyTransaction, StaleVersion, TransactionRolledBack, UniqueViolation
from unitwork.errors.model import NoActingUser
from unitwork.models import acting_as, acting_user
from unitwork.monitor.shape import Shape
from unitwork.sessions.write_recorder import tells_changes

__all__ = ["compiled", "container", "keepsakes", "pytestmark"]


class OlderTrail(AuditTrail):
    """Was written when only flushes told of changes."""

    def flushed(self, session: Session) -> None:
        """Nothing."""


class NewerTrail(OlderTrail):
    def change(self, row: object) -> None:
        """Nothing."""


async def test_a_change_is_stored_and_recorded_as_a_flush_does_it(container: Container, compiled: list[str]) -> None:
    [ann] = await store_named(container, "Ann")
    users, transaction = container.user_dao(), container.transaction()
    for number in range(3):
        with acting_as(7):
            async with transaction() as tx:
                row = await users.get(ann.id)
                row.display_name = f"Ann {number}"
                compiled.clear()
                if number == 1:
                    await users.flush()
                    assert not tx.session.dirty
                    assert row.version == number + 2
        assert row.version == number + 2
        assert row.updated_by == 7
    assert compiled == []
    after = await users.get(ann.id)
    assert (after.display_name, after.name_key, after.version) == ("Ann 2", "ann 2", 4)
    assert after.updated_at == row.updated_at > after.created_at
    entries = await container.audit_dao().query().eq("record_id", ann.id).order_by("id").all()
    assert [(one.action, one.record_version, one.created_by) for one in entries[1:]] == [
        (AuditAction.CHANGED, 2, 7),
        (AuditAction.CHANGED, 3, 7),
        (AuditAction.CHANGED, 4, 7),
    ]
    assert entries[-1].changes["display_name"] == {"before": "Ann 1", "after": "Ann 2"}


async def test_the_monitor_counts_the_update_and_its_entry(container: Container) -> None:
    [ann] = await store_named(container, "Ann")
    users, monitor = container.user_dao(), container.sql_monitor()

    def of(start: str) -> Shape:
        return next(shape for shape in monitor.shapes if shape.fingerprint.text.startswith(start))

    for number in range(4):
        async with container.transaction()() as tx:
            (await users.get(ann.id)).display_name = f"Ann {number}"
            await users.flush()
            record = monitor.open[tx.unit]
            assert record is not None
            assert record.statements == 3
    assert of("UPDATE users SET").count == 4
    assert of("UPDATE users SET").rows == 4
    assert not monitor.errors


async def test_a_stale_change_is_refused_as_a_flush_refuses_it(container: Container) -> None:
    [ann] = await store_named(container, "Ann")
    users = container.user_dao()
    for number in range(3):
        with pytest.raises(TransactionRolledBack):
            async with container.transaction()() as tx:
                row = await users.get(ann.id)
                async with container.transaction()(Propagation.REQUIRES_NEW):
                    await users.update().eq("id", ann.id).set(display_name=f"other {number}").execute()
                row.display_name = "mine"
                with pytest.raises(StaleVersion):
                    await users.flush()
                assert row.display_name != "mine"  # put back, as after any failed flush
                with pytest.raises(TransactionRolledBack):
                    await tx.session.flush()
        assert (await users.get(ann.id)).display_name == f"other {number}"


async def portraits_after_a_violation(
    container: Container, keepsakes: BaseDao[Keepsake], *, directly: bool
) -> Sequence[Seen]:
    """Return a model's values after its UPDATE has failed: caught inside the transaction, and after that."""
    taken, row = await keepsakes.add(Keepsake(words="taken")), await keepsakes.add(Keepsake(words="mine"))
    portraits: list[Seen] = []
    told: list[Any] = []
    with pytest.raises(TransactionRolledBack) as ended:
        async with container.transaction()() as tx:
            held = await keepsakes.get(row.id)
            if not directly:
                event.listen(tx.session.sync_session, "before_flush", lambda *_: None)
            held.words = taken.words
            with pytest.raises(UniqueViolation) as caught:
                await keepsakes.flush()
            portraits += seen([held], ("id", "created_at", "updated_at"))
            told += [caught.value.constraint, tx.session.sync_session.is_active, tx.unit.root.doomed]
            with pytest.raises(TransactionRolledBack):
                await keepsakes.get(row.id)
    portraits += seen([held], ("id", "created_at", "updated_at"))
    told.append(type(ended.value.__cause__))
    assert (await keepsakes.get(row.id)).words == "mine"
    await keepsakes.delete().all_rows().execute()
    return [*portraits, {"told": told}]


async def test_a_change_that_breaks_a_constraint_fails_as_a_flush(
    container: Container, keepsakes: BaseDao[Keepsake]
) -> None:
    wanted = await portraits_after_a_violation(container, keepsakes, directly=False)
    for time in range(3):
        found = await portraits_after_a_violation(container, keepsakes, directly=True)
        told = differing(f"{time}", found, wanted)
        assert not told, "\n".join(told)


async def test_a_savepoint_undoes_a_change_that_failed_in_it(
    container: Container, keepsakes: BaseDao[Keepsake]
) -> None:
    await keepsakes.add(Keepsake(words="taken"))
    row = await keepsakes.add(Keepsake(words="0"))
    for number in range(3):
        async with container.transaction()() as tx:
            held = await keepsakes.get(row.id)
            held.words = f"before {number}"
            with pytest.raises(UniqueViolation):
                async with container.transaction()(Propagation.NESTED):
                    held.words = "taken"
            assert held.words == f"before {number}"
            async with tx.session.begin_nested():
                held.words = f"after {number}"
        assert (await keepsakes.get(row.id)).words == f"after {number}"


async def test_a_rollback_puts_a_stored_change_back(container: Container, keepsakes: BaseDao[Keepsake]) -> None:
    row = await keepsakes.add(Keepsake(words="a"))
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with container.transaction()() as tx:
                held = await keepsakes.get(row.id)
                version = held.version
                held.words = "b"
                await tx.session.flush()
                assert held.version == version + 1
                held.words = "c"
                _ = 1 / 0
        assert (held.words, held.version) == ("a", version)
        assert not inspect(held).modified


async def test_who_listens_to_updates_hears_of_them(container: Container, keepsakes: BaseDao[Keepsake]) -> None:
    row = await keepsakes.add(Keepsake(words="a"))
    heard: list[str] = []

    def hear(_mapper: object, _connection: object, one: Keepsake) -> None:
        heard.append(str(one.words))

    for words, listens in (("b", False), ("c", True), ("d", False)):
        if listens:
            event.listen(Keepsake, "before_update", hear)
        async with container.transaction()():
            (await keepsakes.get(row.id)).words = words
        if listens:
            event.remove(Keepsake, "before_update", hear)
    assert heard == ["c"]


async def test_what_only_a_flush_can_store_is_stored_by_one(container: Container, keepsakes: BaseDao[Keepsake]) -> None:
    """An expression, a deleted row, two rows, a new one beside it."""
    a, b = await keepsakes.add(Keepsake(words="a")), await keepsakes.add(Keepsake(words="b"))
    for _ in range(2):
        async with container.transaction()() as tx:
            one, other = await keepsakes.get(a.id), await keepsakes.get(b.id)
            one.words = func.upper(Keepsake.words)
            await tx.session.flush()
            one.words, other.words = "b's", "a's"
            await tx.session.flush()
            tx.session.add(Keepsake(words="new"))
            one.words = "beside"
            await tx.session.flush()
            await tx.session.delete((await keepsakes.query().eq("words", "new").all())[0])
            other.words = "last"
        assert {row.words for row in await keepsakes.query().all()} == {"beside", "last"}


async def test_a_change_to_the_same_value_is_no_update(container: Container, keepsakes: BaseDao[Keepsake]) -> None:
    row = await keepsakes.add(Keepsake(words="a"))
    for _ in range(3):
        async with container.transaction()():
            held = await keepsakes.get(row.id)
            held.words = "b"
            held.words = "a"
    assert (await keepsakes.get(row.id)).version == 1


async def test_a_block_that_only_reads_changes_nothing(container: Container, keepsakes: BaseDao[Keepsake]) -> None:
    row = await keepsakes.add(Keepsake(words="a"))
    for _ in range(2):
        with pytest.raises(ReadOnlyTransaction):
            async with container.transaction()(read_only=True):
                (await keepsakes.get(row.id)).words = "b"
        with pytest.raises(ReadOnlyTransaction):
            async with container.transaction()():
                held = await keepsakes.get(row.id)
                async with container.session_provider()(read_only=True):
                    held.words = "b"
    assert (await keepsakes.get(row.id)).words == "a"


async def test_a_recorder_that_fails_undoes_the_change(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    [ann] = await store_named(container, "Ann")
    users, trail = container.user_dao(), container.audit_trail()
    async with container.transaction()():
        (await users.get(ann.id)).display_name = "Bea"

    def fail(_row: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(type(trail), "change", lambda _self, row: fail(row))
    with pytest.raises(TransactionRolledBack):
        async with container.transaction()():
            row = await users.get(ann.id)
            row.display_name = "Cid"
            with pytest.raises(ZeroDivisionError):
                await users.flush()
    assert row.display_name == "Bea"
    assert (await users.get(ann.id)).display_name == "Bea"


async def test_a_change_of_a_row_that_was_deleted_meanwhile_is_refused(
    container: Container, keepsakes: BaseDao[Keepsake]
) -> None:
    row = await keepsakes.add(Keepsake(words="a"))
    for _ in range(2):
        with pytest.raises(StaleVersion):
            async with container.transaction()() as tx:
                held = await keepsakes.get(row.id)
                await tx.session.execute(text("DELETE FROM keepsakes"))
                held.words = "b"


async def test_what_a_stamp_raises_fails_as_in_a_flush(container: Container, keepsakes: BaseDao[Keepsake]) -> None:
    row = await keepsakes.add(Keepsake(words="a"))
    for _ in range(2):
        with pytest.raises(TransactionRolledBack):
            async with container.transaction()():
                held = await keepsakes.get(row.id)
                held.words = "b"
                with without_author(), pytest.raises(NoActingUser):
                    await keepsakes.flush()
    assert (await keepsakes.get(row.id)).words == "a"


@contextmanager
def without_author() -> Iterator[None]:
    token = acting_user._acting_user.set(None)  # type: ignore[arg-type]  # as if nobody were named
    try:
        yield
    finally:
        acting_user._acting_user.reset(token)


@pytest.mark.usefixtures("backend")
async def test_a_recorder_that_knows_flushes_only_is_told_by_them() -> None:
    assert [tells_changes(kind()) for kind in (AuditTrail, OlderTrail, NewerTrail)] == [True, False, True]

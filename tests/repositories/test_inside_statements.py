"""In a transaction a read is sent by the driver too, unless the session has something to say; nothing else tells."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import event, inspect, text

from containers import Container
from domain import User, UserStatus
from tests.repositories.accounts import account, store_named
from tests.repositories.shelves import Keepsake
from tests.repositories.test_direct_statements import compiled, container, keepsakes, pytestmark
from unitwork.dao import BaseDao
from unitwork.errors import (
    NoActiveTransaction,
    ReadOnlyTransaction,
    SchemaOutdated,
    SessionBelongsToAnotherTask,
    TransactionRolledBack,
    UniqueViolation,
)
from unitwork.monitor.shape import Shape

__all__ = ["compiled", "container", "keepsakes", "pytestmark"]


@pytest.mark.parametrize("read_only", [False, True])
async def test_each_read_is_the_drivers_and_the_sessions_model(
    container: Container, compiled: list[str], read_only: bool
) -> None:
    ann, ben = await store_named(container, "Ann", "Ben")
    users, transaction = container.user_dao(), container.transaction()

    async def all_of_them() -> None:
        async with transaction(read_only=read_only) as tx:
            found = await users.get(ann.id)
            assert found in tx.session
            assert await users.get_or_none(1) is None
            assert await users.query().order_by("-display_name").all() == [await users.get(ben.id), found]
            assert (await users.query().page(1, 1)).items == [found]
            assert (await users.query().page(1, 1)).total == 2
            assert (await users.query().after(None, 5)).items[0] is found
            assert await users.query().eq("display_name", "Ben").scalars("id") == [ben.id]
            assert await users.query().in_("id", [ann.id, 1]).scalars(User.status) == [UserStatus.ACTIVE]
            assert await users.query().eq("id", ann.id).exists()
            assert await users.count().rows() == 2

    await all_of_them()
    compiled.clear()
    await all_of_them()
    assert compiled == []


async def test_the_monitor_counts_each_with_its_line(container: Container, compiled: list[str]) -> None:
    [ann] = await store_named(container, "Ann")
    users, monitor = container.user_dao(), container.sql_monitor()

    def reads() -> Shape:
        return next(shape for shape in monitor.shapes if shape.fingerprint.text.startswith("SELECT users.id"))

    await users.get(ann.id)
    before = reads().count, reads().rows
    compiled.clear()
    async with container.transaction()() as tx:
        for _ in range(3):
            await users.get(ann.id)
        record = monitor.open[tx.unit]
        assert record is not None
        assert record.statements == 3
    assert compiled == []
    assert (reads().count, reads().rows) == (before[0] + 3, before[1] + 3)
    assert "test_inside_statements.py" in str(reads().call_site)
    assert not monitor.errors


async def test_what_is_pending_is_flushed_first_unless_that_is_switched_off(
    container: Container, compiled: list[str]
) -> None:
    [ann] = await store_named(container, "Ann")
    users = container.user_dao()
    for number, autoflush in enumerate((True, True, False)):
        async with container.transaction()(autoflush=autoflush):
            row = await users.get(ann.id)
            row.display_name = f"Ann {number}"
            compiled.clear()
            named = await users.query().eq("display_name", f"Ann {number}").all()
            assert named == ([row] if autoflush else [])
            assert row.display_name == f"Ann {number}"
    assert (await users.get(ann.id)).display_name == "Ann 2"


async def test_a_read_gives_an_expired_model_its_values_and_leaves_a_changed_one_its_own(container: Container) -> None:
    [ann] = await store_named(container, "Ann")
    users = container.user_dao()
    async with container.transaction()() as tx:
        row = await users.get(ann.id)
        await tx.session.execute(
            text("UPDATE users SET display_name = 'Zoe', phone = '+1' WHERE id = :id"), {"id": ann.id}
        )
        assert (await users.get(ann.id)).display_name == "Ann"
        tx.session.expire(row, ["phone"])
        assert await users.get(ann.id) is row
        assert (row.display_name, row.phone) == ("Ann", "+1")
        tx.session.expire(row)
        assert await users.get(ann.id) is row
        assert row.display_name == "Zoe"
        assert not inspect(row).expired_attributes


async def test_a_lock_is_refused_where_it_always_was(container: Container) -> None:
    [ann] = await store_named(container, "Ann")
    users = container.user_dao()
    locking = users.query().eq("id", ann.id).with_for_update()
    for _ in range(3):
        await users.get(ann.id)
        with pytest.raises(NoActiveTransaction):
            await locking.one()
        with pytest.raises(ReadOnlyTransaction):
            async with container.transaction()(read_only=True):
                await users.get(ann.id)
                await locking.one()
        async with container.transaction()():
            await users.get(ann.id)
            with pytest.raises(ReadOnlyTransaction):
                async with container.session_provider()(read_only=True):
                    await users.get(ann.id)
                    await locking.one()
            assert (await locking.one()).id == ann.id


async def test_a_read_only_block_reads_and_its_text_may_still_not_write(container: Container) -> None:
    [ann] = await store_named(container, "Ann")
    users = container.user_dao()
    for _ in range(2):
        with pytest.raises(TransactionRolledBack):
            async with container.transaction()(), container.session_provider()(read_only=True) as session:
                assert (await users.get(ann.id)).display_name == "Ann"
                with pytest.raises(ReadOnlyTransaction):
                    await session.execute(text("UPDATE users SET display_name = 'Zoe'"))
        async with container.transaction()():
            async with container.session_provider()(read_only=True):
                assert (await users.get(ann.id)).display_name == "Ann"
            await users.update().eq("id", ann.id).set(display_name="Ann").execute()


async def test_after_a_caught_error_nothing_is_read(container: Container, keepsakes: BaseDao[Keepsake]) -> None:
    await keepsakes.add(Keepsake(words="a"))
    for _ in range(3):
        with pytest.raises(TransactionRolledBack):
            async with container.transaction()():
                await keepsakes.count().rows()
                with pytest.raises(UniqueViolation):
                    await keepsakes.add(Keepsake(words="a"))
                for read in (keepsakes.count().rows, keepsakes.query().all, keepsakes.query().exists):
                    with pytest.raises(TransactionRolledBack) as refused:
                        await read()
                    assert isinstance(refused.value.__cause__, UniqueViolation)


async def test_an_error_of_a_read_dooms(container: Container) -> None:
    [ann] = await store_named(container, "Ann")
    users = container.user_dao()
    for _ in range(2):
        await users.query().eq("id", ann.id).scalars("display_name")
    async with container.engine().begin() as connection:
        await connection.execute(text("ALTER TABLE users RENAME COLUMN display_name TO shown_name"))
    with pytest.raises(TransactionRolledBack):
        async with container.transaction()():
            with pytest.raises(SchemaOutdated):
                await users.query().eq("id", ann.id).scalars("display_name")


async def test_who_listens_to_the_session_or_the_engine_hears_of_each(container: Container) -> None:
    [ann] = await store_named(container, "Ann")
    users = container.user_dao()
    heard: list[str] = []
    for _ in range(2):
        async with container.transaction()() as tx:
            await users.get(ann.id)
            event.listen(tx.session.sync_session, "do_orm_execute", lambda _: heard.append("session"))
            await users.get(ann.id)

    def hear(*_: Any) -> None:
        heard.append("engine")

    event.listen(container.engine().sync_engine, "before_cursor_execute", hear)
    async with container.transaction()():
        await users.get(ann.id)
    event.remove(container.engine().sync_engine, "before_cursor_execute", hear)
    assert heard == ["session", "session", "engine"]


async def test_a_savepoint_reads_what_it_wrote_and_a_rollback_forgets_it(container: Container) -> None:
    [ann] = await store_named(container, "Ann")
    users = container.user_dao()
    for _ in range(2):
        async with container.transaction()() as tx:
            row = await users.get(ann.id)
            with pytest.raises(ZeroDivisionError):
                async with tx.session.begin_nested():
                    row.display_name = "Zoe"
                    assert await users.query().eq("display_name", "Zoe").all() == [row]
                    ben = await users.add(account("ben@example.com"))
                    assert await users.get(ben.id) is ben
                    _ = 1 / 0
            assert row.display_name == "Ann"
            assert await users.get_or_none(ben.id) is None
            assert (await users.get(ann.id)) is row


async def test_another_task_is_refused(container: Container) -> None:
    [ann] = await store_named(container, "Ann")
    users = container.user_dao()
    for _ in range(2):
        async with container.transaction()():
            await users.get(ann.id)
            with pytest.raises(SessionBelongsToAnotherTask):
                await asyncio.create_task(users.get(ann.id))

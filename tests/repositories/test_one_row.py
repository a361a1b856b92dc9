"""`dao.add` of a plain row: one INSERT by the driver, after which all is as after a flush."""

import pytest
from sqlalchemy import event, inspect

from containers import Container
from tests.repositories.accounts import account, store_named
from tests.repositories.shelves import Keepsake
from tests.repositories.test_direct_statements import compiled, container, keepsakes, pytestmark
from unitwork.audit.entry import AuditAction
from unitwork.dao import BaseDao
from unitwork.errors import ReadOnlyTransaction, TransactionRolledBack, UniqueViolation

__all__ = ["compiled", "container", "keepsakes", "pytestmark"]


async def test_a_row_is_added_as_a_flush_adds_it(container: Container, compiled: list[str]) -> None:
    users, transaction = container.user_dao(), container.transaction()
    await store_named(container, "Ann")
    async with transaction() as tx:
        ben = await users.add(account("ben@example.com", display_name="Ben"))
        compiled.clear()
        cid = await users.add(account("cid@example.com", display_name="Cid"))
        assert compiled == []  # with the trail's entry
        assert ben in tx.session
        assert cid in tx.session
        assert not tx.session.new
        assert await users.get(cid.id) is cid
        cid.display_name = "Sid"
    assert (await users.get(cid.id)).display_name == "Sid"
    assert (cid.version, ben.version) == (2, 1)
    entries = await container.audit_dao().query().in_("record_id", [ben.id, cid.id]).order_by("id").all()
    assert [(entry.record_id, entry.action) for entry in entries] == [
        (ben.id, AuditAction.CREATED),
        (cid.id, AuditAction.CREATED),
        (cid.id, AuditAction.CHANGED),
    ]
    assert entries[1].changes["display_name"] == {"after": "Cid"}


async def test_a_row_that_is_rolled_back_is_new_again(container: Container, keepsakes: BaseDao[Keepsake]) -> None:
    await keepsakes.add(Keepsake(words="0"))
    kept = Keepsake(words="a")
    with pytest.raises(ZeroDivisionError):
        async with container.transaction()():
            await keepsakes.add(Keepsake(words="b"))
            await keepsakes.add(kept)
            assert inspect(kept).persistent
            _ = 1 / 0
    assert inspect(kept).transient
    assert await keepsakes.count().rows() == 1
    await keepsakes.add(kept)
    assert await keepsakes.count().rows() == 2


async def test_what_waits_for_a_flush_is_stored_first(container: Container, keepsakes: BaseDao[Keepsake]) -> None:
    async with container.transaction()() as tx:
        waiting = Keepsake(words="a")
        tx.session.add(waiting)
        added = await keepsakes.add(Keepsake(words="b"))
        assert inspect(waiting).persistent
    assert waiting.id < added.id


async def test_a_row_that_can_not_be_added_dooms_its_transaction(
    container: Container, keepsakes: BaseDao[Keepsake], compiled: list[str]
) -> None:
    for number in range(3):
        with pytest.raises(TransactionRolledBack):
            async with container.transaction()():
                await keepsakes.add(Keepsake(words=f"first {number}"))
                twice = Keepsake(words=f"first {number}")
                with pytest.raises(UniqueViolation) as caught:
                    await keepsakes.add(twice)
                assert caught.value.constraint == "uq_keepsakes_words"
                assert inspect(twice).transient
    assert await keepsakes.count().rows() == 0


async def test_a_savepoint_saves_what_was_before_it(container: Container, keepsakes: BaseDao[Keepsake]) -> None:
    for number in range(2):
        async with container.transaction()() as tx:
            await keepsakes.add(Keepsake(words=f"{number}"))
            with pytest.raises(UniqueViolation):
                async with tx.session.begin_nested():
                    await keepsakes.add(Keepsake(words=f"{number}"))
            await keepsakes.add(Keepsake(words=f"after {number}"))
    assert await keepsakes.count().rows() == 4


async def test_who_listens_to_inserts_hears_of_them(container: Container, keepsakes: BaseDao[Keepsake]) -> None:
    heard: list[str] = []

    def hear(_mapper: object, _connection: object, row: Keepsake) -> None:
        heard.append(str(row.words))

    await keepsakes.add(Keepsake(words="a"))
    event.listen(Keepsake, "before_insert", hear)
    await keepsakes.add(Keepsake(words="b"))
    event.remove(Keepsake, "before_insert", hear)
    await keepsakes.add(Keepsake(words="c"))
    assert heard == ["b"]


async def test_a_block_that_only_reads_adds_nothing(container: Container, keepsakes: BaseDao[Keepsake]) -> None:
    await keepsakes.add(Keepsake(words="a"))
    with pytest.raises(ReadOnlyTransaction):
        async with container.transaction()(read_only=True):
            await keepsakes.add(Keepsake(words="b"))
    assert await keepsakes.count().rows() == 1

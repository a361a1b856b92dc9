"""The kit, as this project uses it."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from domain.models import Line, Order, Shelf
from unitwork import Database, TransactionProvider
from unitwork.dao import BaseDao
from unitwork.errors import NotFound, StaleVersion, UniqueViolation
from unitwork.models import acting_as
from unitwork.testing.fakes import FakeSessionProvider, InMemoryDao

Bounded = Callable[..., AbstractContextManager[object]]


async def test_a_fake_keeps_what_was_committed() -> None:
    sessions = FakeSessionProvider()
    orders = InMemoryDao(sessions, Order)
    async with TransactionProvider(sessions)():
        order = await orders.add(Order(customer="x"))
    assert (await orders.get(order.id)).customer == "x"


async def test_a_test_of_the_real_database_leaves_nothing(database: Database, assert_queries: Bounded) -> None:
    orders = BaseDao[Order](database.sessions, Order)
    with assert_queries(max=1):
        async with database.transaction():
            await orders.add(Order(customer="y"))
    assert await orders.count().rows() == 1


async def test_keys_of_every_kind_are_taken(database: Database) -> None:
    orders, lines = BaseDao[Order](database.sessions, Order), BaseDao[Line](database.sessions, Line)
    await every_key(orders, lines)


async def test_keys_of_every_kind_are_taken_by_the_fakes() -> None:
    sessions = FakeSessionProvider()
    await every_key(InMemoryDao(sessions, Order), InMemoryDao(sessions, Line))


async def every_key(orders: BaseDao[Order], lines: BaseDao[Line]) -> None:
    order = await orders.add(Order(customer="z"))
    await lines.add_many([Line(order_id=order.id, number=number, article=f"part {number}") for number in (3, 1, 2)])
    keys = [(order.id, 2), (order.id, 9), (order.id, 1)]
    assert [line.number for line in await lines.get_many(keys)] == [2, 1]
    assert [found.id for found in await orders.get_many([order.id])] == [order.id]
    assert [line.number for line in await lines.query().all()] == [1, 2, 3]
    first = await lines.query().after(None, 2)
    rest = await lines.query().after(first.next_cursor, 2)
    assert [line.number for line in (*first.items, *rest.items)] == [1, 2, 3]
    assert (await lines.get((order.id, 3))).article == "part 3"
    assert await lines.get_or_none((order.id, 9)) is None
    with pytest.raises(TypeError, match="order_id, number"):
        await lines.get(order.id)
    stored = await lines.upsert_many(
        [{"order_id": order.id, "number": 3, "article": "engine"}], on=("order_id", "number")
    )
    assert (stored, (await lines.get((order.id, 3))).article) == (1, "engine")
    await lines.purge((order.id, 3))
    assert await lines.count().rows() == 2


@pytest.mark.database("own")
async def test_every_mixin_works_on_a_base_of_somebody_elses(database: Database) -> None:
    await every_mixin(BaseDao[Shelf](database.sessions, Shelf))


async def test_every_mixin_works_in_the_fakes() -> None:
    await every_mixin(InMemoryDao(FakeSessionProvider(), Shelf))


async def every_mixin(shelves: BaseDao[Shelf]) -> None:
    with acting_as(5):
        shelf = await shelves.add(Shelf(label="A"))
        await shelves.add_many([Shelf(label="B"), Shelf(label="C")])
        with pytest.raises(UniqueViolation):
            await shelves.add(Shelf(label="B"))
        assert (shelf.version, shelf.created_by, shelf.updated_at) == (1, 5, shelf.created_at)
        await shelves.soft_delete(shelf.id, version=1)
        with pytest.raises(NotFound):
            await shelves.get(shelf.id)
        assert [one.label for one in await shelves.query().order_by("label").all()] == ["B", "C"]
        assert (await shelves.restore(shelf.id)).version == 3
        with pytest.raises(StaleVersion):
            await shelves.purge(shelf.id, version=2)
        assert await shelves.update().eq("label", "A").set(label="D").execute() == 1
        changed = await shelves.get(shelf.id)
        assert (changed.label, changed.version, changed.deleted) == ("D", 4, False)


async def test_builders_need_none_of_them(database: Database) -> None:
    orders = BaseDao[Order](database.sessions, Order)
    order = await orders.add(Order(customer="q"))
    assert await orders.update().eq("id", order.id).set(customer="r").execute() == 1
    assert await orders.delete().eq(Order.customer, "r").execute() == 1
    assert not await orders.query().exists()

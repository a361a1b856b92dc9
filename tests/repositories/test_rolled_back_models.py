"""Rolled-back models of every shape: what each shows then."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import inspect, select, update
from sqlalchemy.orm import defer, load_only, selectinload, undefer

from containers import Container
from tests.repositories.harbours import Berth, Buoy, ForeignBase, HarbourBase, Sailor, Ship, Tanker
from unitwork import Propagation, TransactionProvider
from unitwork.dao import BaseDao
from unitwork.errors import ColumnNotLoaded, RelationshipNotLoaded, StaleVersion

pytestmark = [pytest.mark.database("own"), pytest.mark.usefixtures("acting")]


@pytest.fixture
async def container(container: Container) -> Container:
    async with container.engine().begin() as connection:
        await connection.run_sync(HarbourBase.metadata.create_all)
        await connection.run_sync(ForeignBase.metadata.create_all)
    return container


@pytest.fixture
def transaction(container: Container) -> TransactionProvider:
    return container.transaction()


@pytest.fixture
async def ship_id(container: Container) -> int:
    """A ship with Ann and Bob; Cid is ashore."""
    async with container.transaction()() as tx:
        ship = Tanker(name="Ada", papers="old", freight={"oil": 1}, tons=7)
        ship.crew = [Sailor(name="Ann"), Sailor(name="Bob")]
        tx.session.add_all([ship, Sailor(name="Cid"), Berth(harbour="Oslo", number=1, ship="Ada")])
    return ship.id


def names(sailors: Sequence[Sailor]) -> list[str]:
    return [sailor.name for sailor in sailors]


async def _crew(session: Any) -> dict[str, Sailor]:
    rows = (await session.scalars(select(Sailor).order_by(Sailor.name))).all()
    return {row.name: row for row in rows}


async def test_collections_and_foreign_keys_are_as_loaded(transaction: TransactionProvider, ship_id: int) -> None:
    with pytest.raises(LookupError):
        async with transaction() as tx:
            ship = await tx.session.get_one(Ship, ship_id, options=[selectinload(Ship.crew)])
            crew = await _crew(tx.session)
            new = Sailor(name="Dan")
            ship.crew.append(crew["Cid"])
            ship.crew.append(new)
            ship.crew.remove(crew["Bob"])
            await tx.session.flush()
            assert (crew["Cid"].ship_id, crew["Bob"].ship_id, crew["Bob"].version) == (ship_id, None, 2)
            ship.crew.remove(crew["Ann"])
            raise LookupError
    assert names(ship.crew) == ["Ann", "Bob"]
    assert [(one.ship_id, one.version) for one in crew.values()] == [(ship_id, 1), (ship_id, 1), (None, 1)]
    assert (new.name, inspect(new).transient) == ("Dan", True)
    assert new not in ship.crew


async def test_a_collection_of_a_deleted_row_is_as_loaded(transaction: TransactionProvider, ship_id: int) -> None:
    with pytest.raises(LookupError):
        async with transaction() as tx:
            ship = await tx.session.get_one(Tanker, ship_id, options=[selectinload(Tanker.crew)])
            ship.name = "lost"
            ann = ship.crew[0]
            await tx.session.delete(ship)
            await tx.session.flush()
            assert ann.ship_id is None
            raise LookupError
    assert (ship.name, ship.tons, names(ship.crew)) == ("Ada", 7, ["Ann", "Bob"])
    assert (ann.ship_id, ann.version) == (ship_id, 1)
    assert not inspect(ship).was_deleted
    async with transaction() as tx:
        tx.session.add(ship)
        ship.name = "Eve"
    async with transaction(read_only=True) as tx:
        assert (await tx.session.get_one(Ship, ship_id)).name == "Eve"


@pytest.mark.parametrize("propagation", [Propagation.REQUIRES_NEW, Propagation.NESTED])
async def test_a_changed_key_is_the_old_one_again(
    transaction: TransactionProvider, ship_id: int, propagation: Propagation
) -> None:
    key = {"harbour": "Oslo", "number": 1}
    async with transaction(read_only=propagation is Propagation.REQUIRES_NEW) as outer:
        with pytest.raises(LookupError):
            async with transaction(propagation) as tx:
                berth = await tx.session.get_one(Berth, key)
                berth.number = 2
                await tx.session.flush()
                berth.harbour, berth.ship = "Bergen", None
                await tx.session.flush()
                raise LookupError
        assert (berth.harbour, berth.number, berth.ship) == ("Oslo", 1, "Ada")
        assert inspect(berth).identity == ("Oslo", 1)
        assert repr(berth) == "Berth(harbour=Oslo, number=1)"
        found = await outer.session.get_one(Berth, key)
        assert (found is berth) is (propagation is Propagation.NESTED)


async def test_what_was_not_loaded_is_refused_by_name_and_the_rest_is_there(
    transaction: TransactionProvider, ship_id: int
) -> None:
    with pytest.raises(LookupError):
        async with transaction() as tx:
            ship = await tx.session.get_one(Tanker, ship_id)
            with pytest.raises(ColumnNotLoaded, match=r"Tanker\.papers .*\.options\(undefer\(Tanker\.papers\)\)"):
                assert ship.papers
            ship.papers = "new"  # what they were isn't known
            assert ship.freight is not None
            ship.freight["oil"] = 2  # nor this, which is changed in place
            ship.name, ship.tons = "lost", 8  # of either table
            await tx.session.flush()
            ship.freight["oil"] = 3
            raise LookupError
    assert (ship.name, ship.tons) == ("Ada", 7)
    for column in ("papers", "freight"):
        with pytest.raises(ColumnNotLoaded, match=f"Tanker.{column}"):
            getattr(ship, column)
    with pytest.raises(RelationshipNotLoaded):
        assert ship.crew
    async with transaction() as tx:
        tx.session.add(ship)
        await tx.session.refresh(ship)
        assert (ship.freight, ship.version) == ({"oil": 1}, 1)


async def test_a_value_changed_in_place_after_a_flush_is_refused(
    transaction: TransactionProvider, ship_id: int
) -> None:
    with pytest.raises(LookupError):
        async with transaction() as tx:
            ship = await tx.session.get_one(Ship, ship_id)
            ship.name = "lost"
            await tx.session.flush()
            assert ship.freight is not None
            ship.freight["oil"] = 2
            raise LookupError
    assert ship.name == "Ada"
    with pytest.raises(ColumnNotLoaded, match=r"Tanker\.freight"):
        assert ship.freight


async def test_deferred_columns_are_refused_by_name_wherever_they_were_deferred(
    container: Container, transaction: TransactionProvider, ship_id: int
) -> None:
    ships = BaseDao(container.session_provider(), Ship)
    loaded = await ships.query().options(undefer(Ship.papers)).one()
    assert loaded.papers == "old"
    for option in (defer(Ship.name), defer(Ship.name, raiseload=True), load_only(Ship.kind)):
        ship = await ships.query().options(option).one()
        with pytest.raises(ColumnNotLoaded, match=r"Tanker\.name .*undefer\(Tanker\.name\)") as refused:
            assert ship.name
        assert (refused.value.model, refused.value.column, refused.value.deferred) == ("Tanker", "name", True)
        assert f"id={ship_id}" in repr(ship)
        async with transaction() as tx:
            tx.session.add(ship)
            with pytest.raises(ColumnNotLoaded):
                assert ship.name
            await tx.session.refresh(ship, ["name"])
            assert ship.name == "Ada"


async def test_merge_and_refresh_change_nothing_that_a_rollback_could_not_undo(
    transaction: TransactionProvider, ship_id: int
) -> None:
    async with transaction(read_only=True) as tx:
        outside = await tx.session.get_one(Ship, ship_id)
    with pytest.raises(LookupError):
        async with transaction() as tx:
            outside.name = "lost"
            inside = await tx.session.merge(outside)
            await tx.session.flush()
            await tx.session.refresh(inside)
            assert (inside.name, inside.version) == ("lost", 2)
            raise LookupError
    assert (inside.name, inside.version) == ("Ada", 1)
    assert outside.name == "lost", "it was never the session's"


async def test_a_savepoint_that_ends_with_the_one_around_it_is_undone_too(
    transaction: TransactionProvider, ship_id: int
) -> None:
    async with transaction() as tx:
        ship = await tx.session.get_one(Ship, ship_id)
        async with tx.session.begin_nested() as outer:
            inner = await tx.session.begin_nested()
            ship.name = "lost"
            new = Sailor(name="Eve")
            tx.session.add(new)
            await tx.session.flush()
            assert inner.is_active
            await outer.rollback()
        assert (ship.name, ship.version, inspect(new).transient) == ("Ada", 1, True)
        ship.name = "kept"
    assert (ship.name, ship.version) == ("kept", 2)


async def test_a_flush_that_is_stale_leaves_the_model_as_it_was_read(
    container: Container, transaction: TransactionProvider, ship_id: int
) -> None:
    sailors = BaseDao(container.session_provider(), Sailor)
    (ann,) = await sailors.query().eq("name", "Ann").all()
    before = (ann.name, ann.version, ann.updated_at, ann.updated_by)
    await sailors.update().eq("id", ann.id).set(name="Amy").execute()
    with pytest.raises(StaleVersion):
        async with transaction() as tx:
            tx.session.add(ann)
            ann.name = "Eva"
            await tx.session.flush()
    assert (ann.name, ann.version, ann.updated_at, ann.updated_by) == before


async def test_an_upsert_that_is_rolled_back_leaves_held_models_as_they_were(
    container: Container, transaction: TransactionProvider, ship_id: int
) -> None:
    sailors = BaseDao(container.session_provider(), Sailor)
    (ann,) = await sailors.query().eq("name", "Ann").all()
    with pytest.raises(LookupError):
        async with transaction():
            held = await sailors.get(ann.id)
            await sailors.upsert_many([{"id": ann.id, "name": "lost"}], on="id")
            assert (held.name, held.version) == ("lost", 2)
            raise LookupError
    assert (held.name, held.version) == ("Ann", 1)


@pytest.mark.parametrize("count", [1, 2, 1_000])
async def test_new_models_keep_what_they_were_given_and_can_be_stored_again(
    container: Container, transaction: TransactionProvider, ship_id: int, count: int
) -> None:
    sailors = BaseDao(container.session_provider(), Sailor)
    rows = [Sailor(name=f"sailor {number}") for number in range(count)]
    with pytest.raises(LookupError):
        async with transaction() as tx:
            await (sailors.add(rows[0]) if count == 1 else sailors.add_many(rows))
            rows[0].name = "renamed"
            await tx.session.flush()
            raise LookupError
    ids = [row.id for row in rows]
    assert (rows[0].name, len(set(ids))) == ("renamed", count)
    assert all(inspect(row).transient for row in rows)
    await sailors.add_many(rows)
    assert ([row.id for row in rows], rows[0].version) == (ids, 1)
    assert await sailors.count().rows() == 3 + count


async def test_models_of_another_base_keep_their_values_too(transaction: TransactionProvider, ship_id: int) -> None:
    async with transaction() as tx:
        tx.session.add_all([Buoy(id=1, colour="red", log="calm"), Buoy(id=2, colour="green")])
    with pytest.raises(LookupError):
        async with transaction() as tx:
            read, changed = await tx.session.get_one(Buoy, 1), await tx.session.get_one(Buoy, 2)
            changed.colour = "lost"
            await tx.session.flush()
            raise LookupError
    assert (read.id, read.colour, changed.id, changed.colour, changed.noted) == (1, "red", 2, "green", None)
    with pytest.raises(ColumnNotLoaded, match=r"Buoy\.log"):
        assert read.log


async def test_what_an_update_construct_could_not_work_out_is_known_after_the_rollback(
    transaction: TransactionProvider, ship_id: int
) -> None:
    with pytest.raises(LookupError):
        async with transaction() as tx:
            crew = await _crew(tx.session)
            await tx.session.execute(update(Sailor).values(name=Sailor.name + "!"))
            raise LookupError
    assert names(list(crew.values())) == ["Ann", "Bob", "Cid"]
    assert {one.version for one in crew.values()} == {1}


async def test_a_business_error_reaches_the_log_line_that_names_its_model(
    transaction: TransactionProvider, ship_id: int
) -> None:
    async def work() -> None:
        async with transaction() as tx:
            ship = await tx.session.get_one(Ship, ship_id)
            tx.session.expire(ship)
            raise LookupError(ship)

    with pytest.raises(LookupError) as raised:
        await work()
    assert str(raised.value) == f"Tanker(id={ship_id})"
    assert raised.value.args[0].id == ship_id

"""Values that the database makes at an INSERT or UPDATE are there after it, whichever way it went."""

from collections.abc import Sequence

import pytest
from sqlalchemy import inspect

from containers import Container
from tests.repositories.harbours import Buoy, Current, ForeignBase, HarbourBase, Sailor, Tide
from unitwork.dao import BaseDao
from unitwork.errors import ColumnNotLoaded

pytestmark = [pytest.mark.database("own"), pytest.mark.usefixtures("acting")]


@pytest.fixture
async def container(container: Container) -> Container:
    async with container.engine().begin() as connection:
        await connection.run_sync(HarbourBase.metadata.create_all)
        await connection.run_sync(ForeignBase.metadata.create_all)
    return container


@pytest.fixture
def tides(container: Container) -> BaseDao[Tide]:
    return BaseDao(container.session_provider(), Tide)


def check(rows: Sequence[Tide], height: int, *, noted: bool) -> None:
    for row in rows:
        assert (row.height, row.twice, row.station) == (height, height * 2, "pier")
        assert (row.noted is not None) is noted
        assert row.version >= 1


@pytest.mark.parametrize("inside", [False, True])
async def test_an_insert_gives_them(container: Container, tides: BaseDao[Tide], inside: bool) -> None:
    async def store() -> None:
        for _ in range(3):  # the driver has a plan from the second on
            check([await tides.add(Tide(height=1))], 1, noted=False)
        check(await tides.add_many([Tide(height=2), Tide(height=2)]), 2, noted=False)
        check(await tides.add_many([Tide(height=3) for _ in range(1_000)]), 3, noted=False)

    if inside:
        async with container.transaction()():
            await store()
    else:
        await store()
    assert await tides.count().rows() == 1_005


async def test_an_update_by_flush_gives_them(container: Container, tides: BaseDao[Tide]) -> None:
    one, other = await tides.add_many([Tide(height=1), Tide(height=1)])
    async with container.transaction()() as tx:
        rows = [await tides.get(one.id), await tides.get(other.id)]
        for row in rows:
            row.height = 2
        await tx.session.flush()
        check(rows, 2, noted=True)
        rows[0].height = 3
    check(rows[:1], 3, noted=True)
    assert [row.version for row in rows] == [3, 2]
    one.height = other.height = 4
    one.version, other.version = 3, 2
    one = await tides.get(one.id)
    one.height = 4
    await tides.add(one)
    check([one], 4, noted=True)


async def test_an_update_by_a_builder_or_an_upsert_gives_them(container: Container, tides: BaseDao[Tide]) -> None:
    row = await tides.add(Tide(height=1))
    for height in (2, 3):
        check(await tides.update().eq("id", row.id).set(height=height).returning(), height, noted=True)
    async with container.transaction()():
        held = await tides.get(row.id)
        await tides.update().eq("id", row.id).set(height=4).execute()
        check([held], 4, noted=True)
        (same,) = await tides.update().eq("id", row.id).set(height=5).returning()
        assert same is held
        check([held], 5, noted=True)
        await tides.upsert_many([{"id": row.id, "height": 6}], on="id")
        check([held], 6, noted=True)
    assert held.version == 6, "an upsert counts as sessions do"


async def test_a_key_that_the_database_makes_comes_with_them(container: Container) -> None:
    currents = BaseDao(container.session_provider(), Current)
    one = await currents.add(Current(speed=1))
    async with container.transaction()():
        other = await currents.add(Current(speed=2))
        assert (one.id, one.twice, other.id, other.twice) == (1, 2, 2, 4)
        other.speed = 3
        await currents.flush()
        assert (other.twice, other.noted is None) == (6, False)
    found = await currents.get(1)
    found.speed = 5
    await currents.add(found)
    assert (found.twice, found.noted is None) == (10, False)


async def test_a_rollback_gives_back_what_they_were(container: Container, tides: BaseDao[Tide]) -> None:
    row = await tides.add(Tide(height=1))
    with pytest.raises(LookupError):
        async with container.transaction()():
            found = await tides.get(row.id)
            found.height = 2
            await tides.flush()
            check([found], 2, noted=True)
            raise LookupError
    check([found], 1, noted=False)


async def test_models_of_another_base_refuse_by_name_what_they_do_not_fetch(container: Container) -> None:
    async with container.transaction()() as tx:
        buoy = Buoy(id=1, colour="red")
        tx.session.add(buoy)
        await tx.session.flush()
        buoy.colour = "green"
        await tx.session.flush()
        with pytest.raises(ColumnNotLoaded, match=r"Buoy\.noted isn't loaded"):
            assert buoy.noted
        await tx.session.refresh(buoy, ["noted"])
        assert buoy.noted is not None
        assert buoy.colour == "green"


def test_models_without_them_are_flushed_as_ever() -> None:
    assert inspect(Sailor).eager_defaults == "auto"
    assert inspect(Tide).eager_defaults is True

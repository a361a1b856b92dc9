"""Relationships: loaded with their row, or refused with the option that loads them."""

import pytest
from sqlalchemy.orm import joinedload, selectinload

from containers import Container
from tests.repositories.boxes import Box, Chest, Drawer, Thing, boxes
from unitwork.dao import BaseDao
from unitwork.errors import RelationshipNotLoaded
from unitwork.models import SYSTEM, acting_as

pytestmark = pytest.mark.database("own")


async def test_one_that_was_not_loaded_names_the_option_to_add(container: Container) -> None:
    box_dao, thing_dao = await boxes(container)
    async with container.transaction()():
        box, thing = await box_dao.query().order_by("id").first(), await thing_dao.query().one()
        assert box is not None
        with pytest.raises(RelationshipNotLoaded, match=r"Box\.things.*\.options\(selectinload\(Box\.things\)\)"):
            _ = box.things
        with pytest.raises(RelationshipNotLoaded, match=r"\.options\(joinedload\(Thing\.box\)\)") as raised:
            _ = thing.box
    assert (raised.value.model, raised.value.relationship, raised.value.option) == ("Thing", "box", "joinedload")
    with pytest.raises(RelationshipNotLoaded):
        _ = box.things


async def test_what_the_query_loads_is_there_when_the_session_has_ended(container: Container) -> None:
    box_dao, thing_dao = await boxes(container)
    box = await box_dao.query().eq("name", "full").options(selectinload(Box.things).joinedload(Thing.box)).one()
    assert [thing.box for thing in box.things] == [box]
    thing = await thing_dao.query().options(joinedload(Thing.box)).one()
    assert thing.box.name == "full"
    page = await box_dao.query().order_by("-name").options(joinedload(Box.things)).page(1, 1)
    assert ([box.name for box in page.items], page.total) == (["full"], 2)
    assert await box_dao.query().options(selectinload(Box.things)).exists()
    assert await box_dao.query().options(selectinload(Box.things)).order_by("name").scalars("name") == ["empty", "full"]


async def test_a_model_that_always_loads_one_is_read_in_a_unit_of_its_own(container: Container) -> None:
    await boxes(container)
    dao = BaseDao(container.session_provider(), Chest)
    drawers = BaseDao(container.session_provider(), Drawer)
    with acting_as(SYSTEM):
        chest = await dao.add(Chest(name="oak", drawers=[]))
        await drawers.add_many([Drawer(name="top", chest_id=chest.id), Drawer(name="low", chest_id=chest.id)])
        (changed,) = await dao.update().eq("id", chest.id).set(name="ash").returning()
    assert [drawer.name for drawer in changed.drawers] == ["low", "top"]
    assert [drawer.name for drawer in (await dao.get(chest.id)).drawers] == ["low", "top"]
    assert container.schema().connections_in_use == 0


def test_one_may_still_say_how_it_is_loaded() -> None:
    assert Chest.drawers.property.lazy == "selectin"
    assert Box.things.property.lazy == "raise"

"""Soft delete is a criterion of every SELECT of models: in joins, subqueries and relationship loads too."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload, selectinload, subqueryload

from containers import Container
from tests.repositories.boxes import Box, Thing, boxes
from unitwork.models import SYSTEM, acting_as

pytestmark = pytest.mark.database("own")


@pytest.mark.parametrize("load", [selectinload, joinedload, subqueryload], ids=lambda load: load.__name__)
async def test_relationships_are_loaded_without_what_is_deleted(container: Container, load: Any) -> None:
    box_dao, _ = await boxes(container)
    query = box_dao.query().order_by("id").options(load(Box.things))
    assert [[thing.name for thing in box.things] for box in await query.all()] == [["a"], []]
    everything = box_dao.query(include_deleted=True).order_by("id").options(load(Box.things))
    assert [[thing.name for thing in box.things] for box in await everything.all()] == [["a", "b"], ["c"]]
    assert container.schema().connections_in_use == 0


async def test_joins_and_subqueries_of_conditions_leave_out_what_is_deleted(container: Container) -> None:
    box_dao, thing_dao = await boxes(container)
    joined = (Thing.box_id == Box.id, Thing.name.in_(["b", "c"]))
    for condition in (Box.things.any(Thing.name == "b"), Box.id.in_(select(Thing.box_id).where(Thing.name == "c"))):
        assert await box_dao.query().where(condition).all() == []
        assert await box_dao.count().where(condition).rows() == 0
        assert len(await box_dao.query(include_deleted=True).where(condition).all()) == 1
        with acting_as(SYSTEM):
            assert await box_dao.update().where(condition).set(name="x").execute() == 0
    assert await box_dao.query().where(*joined).all() == []
    assert await box_dao.query(include_deleted=True).where(*joined).distinct().order_by("name").scalars(Box.name) == [
        "empty",
        "full",
    ]
    assert await thing_dao.query().scalars("name") == ["a"]


async def test_a_select_of_ones_own_leaves_them_out_unless_it_asks_for_them(container: Container) -> None:
    _, thing_dao = await boxes(container)
    names, number = select(Thing.name).order_by(Thing.name), select(func.count()).select_from(Thing)
    pairs = select(Box.name, Thing.name).join(Thing).order_by(Thing.name)
    async with container.session_provider()() as session:
        assert (await session.scalars(names)).all() == ["a"]
        assert await session.scalar(number) == 1
        assert [tuple(row) for row in await session.execute(pairs)] == [("full", "a")]
        everything = {"include_deleted": True}
        assert (await session.scalars(names, execution_options=everything)).all() == ["a", "b", "c"]
        assert await session.scalar(number.execution_options(include_deleted=True)) == 3
        gone = (await session.scalars(select(Thing).where(Thing.name == "b"), execution_options=everything)).one()
        await session.refresh(gone)
        assert gone.deleted, "a row that is held is found again"
    async with container.session_provider()() as session:
        assert await session.get(Thing, gone.id) is None
        table: Sequence[Any] = (await session.execute(select(Thing.__table__.c.name))).all()
        assert len(table) == 3, "a SELECT of the table is taken at its word"
    assert await thing_dao.get_or_none(gone.id) is None

"""Models that refer to each other; their tables are no part of the schema."""

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from containers import Container
from tests.repositories.shelves import ShelfBase
from unitwork.dao import BaseDao
from unitwork.models import SYSTEM, acting_as
from unitwork.models.base import ModelMixin


class Box(ModelMixin, ShelfBase):
    """It says nothing about how its things are loaded."""

    __tablename__ = "boxes"

    name: Mapped[str] = mapped_column(String(20))
    things: Mapped[list["Thing"]] = relationship(back_populates="box", order_by="Thing.name")


class Thing(ModelMixin, ShelfBase):
    """It is in a box."""

    __tablename__ = "things"

    name: Mapped[str] = mapped_column(String(20))
    box_id: Mapped[int] = mapped_column(ForeignKey("boxes.id"))
    box: Mapped[Box] = relationship(back_populates="things")


class Chest(ModelMixin, ShelfBase):
    """It always comes with its drawers."""

    __tablename__ = "chests"

    name: Mapped[str] = mapped_column(String(20))
    drawers: Mapped[list["Drawer"]] = relationship(lazy="selectin", order_by="Drawer.name")


class Drawer(ModelMixin, ShelfBase):
    """It is in a chest."""

    __tablename__ = "drawers"

    name: Mapped[str] = mapped_column(String(20))
    chest_id: Mapped[int] = mapped_column(ForeignKey("chests.id"))


async def boxes(container: Container) -> tuple[BaseDao[Box], BaseDao[Thing]]:
    """Two boxes: one with a thing and a deleted one, one with a deleted one only."""
    async with container.engine().begin() as connection:
        await connection.run_sync(ShelfBase.metadata.create_all)
    provider = container.session_provider()
    box_dao, thing_dao = BaseDao(provider, Box), BaseDao(provider, Thing)
    with acting_as(SYSTEM):
        full, empty = await box_dao.add_many([Box(name="full"), Box(name="empty")])
        _, gone, other = await thing_dao.add_many(
            [Thing(name="a", box_id=full.id), Thing(name="b", box_id=full.id), Thing(name="c", box_id=empty.id)]
        )
        await thing_dao.soft_delete(gone.id)
        await thing_dao.soft_delete(other.id)
    return box_dao, thing_dao

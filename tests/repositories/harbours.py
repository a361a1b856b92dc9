"""Models of every shape that a rollback, or a value made by the database, could trip over; no part of the schema."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Computed, ForeignKey, MetaData, String, func
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from unitwork.models import Base
from unitwork.models.base import ModelMixin


class HarbourBase(Base):
    __abstract__ = True
    metadata = MetaData(naming_convention=Base.metadata.naming_convention)


class Berth(HarbourBase):
    """Its key is of two columns, and may change."""

    __tablename__ = "berths"

    harbour: Mapped[str] = mapped_column(String(20), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    ship: Mapped[str | None] = mapped_column(String(20))


class Ship(ModelMixin, HarbourBase):
    """It has a table, and its kinds have theirs."""

    __tablename__ = "ships"

    kind: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(20))
    papers: Mapped[str | None] = mapped_column(String(20), deferred=True)
    freight: Mapped[dict[str, Any] | None] = mapped_column(MutableDict.as_mutable(JSON()))
    crew: Mapped[list["Sailor"]] = relationship(order_by="Sailor.name")

    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "ship"}  # noqa: RUF012 - as SQLAlchemy types it


class Tanker(Ship):
    """One kind of ship."""

    __tablename__ = "tankers"

    id: Mapped[int] = mapped_column(ForeignKey("ships.id"), primary_key=True)
    tons: Mapped[int]

    __mapper_args__ = {"polymorphic_identity": "tanker"}  # noqa: RUF012 - as SQLAlchemy types it


class Sailor(ModelMixin, HarbourBase):
    """Knows no ship, as the ship knows its crew."""

    __tablename__ = "sailors"

    name: Mapped[str] = mapped_column(String(20))
    ship_id: Mapped[int | None] = mapped_column(ForeignKey("ships.id"))


class Tide(ModelMixin, HarbourBase):
    """The database has its say at every write, and the model in how it is mapped."""

    __tablename__ = "tides"

    height: Mapped[int]
    twice: Mapped[int] = mapped_column(Computed("height * 2", persisted=True))
    noted: Mapped[datetime | None] = mapped_column(onupdate=func.now())
    station: Mapped[str] = mapped_column(String(20), server_default="pier")

    __mapper_args__ = {"confirm_deleted_rows": False}  # noqa: RUF012 - as SQLAlchemy types it


class Current(HarbourBase):
    """As `Tide`, and its key is the database's too."""

    __tablename__ = "currents"

    id: Mapped[int] = mapped_column(primary_key=True)
    speed: Mapped[int]
    twice: Mapped[int] = mapped_column(Computed("speed * 2", persisted=True))
    noted: Mapped[datetime | None] = mapped_column(onupdate=func.now())


class ForeignBase(DeclarativeBase):
    """Not ours."""


class Buoy(ForeignBase):
    """A model of somebody else's."""

    __tablename__ = "buoys"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    colour: Mapped[str] = mapped_column(String(20))
    noted: Mapped[datetime | None] = mapped_column(onupdate=func.now())
    log: Mapped[str | None] = mapped_column(String(20), deferred=True)

"""Models of the zoo that have to do with one another: inherited, related, of several tables."""

from sqlalchemy import (
    ForeignKey,
    String,
)
from sqlalchemy.orm import (
    DynamicMapped,
    Mapped,
    mapped_column,
    relationship,
)

from tests.repositories.zoo import ZooBase


class Animal(ZooBase):
    """All of one table."""

    __tablename__ = "animals"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}  # noqa: RUF012 - SQLAlchemy's own way

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(20))
    name: Mapped[str | None] = mapped_column(String(40))


class Bird(Animal):
    __mapper_args__ = {"polymorphic_identity": "bird"}  # noqa: RUF012 - as above

    wings: Mapped[int | None] = mapped_column(use_existing_column=True)


class Vehicle(ZooBase):
    """Each kind has a table of its own for what is its own."""

    __tablename__ = "vehicles"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "vehicle"}  # noqa: RUF012 - as above

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(20))
    name: Mapped[str | None] = mapped_column(String(40))


class Lorry(Vehicle):
    __tablename__ = "lorries"
    __mapper_args__ = {"polymorphic_identity": "lorry"}  # noqa: RUF012 - as above

    id: Mapped[int] = mapped_column(ForeignKey("vehicles.id"), primary_key=True)
    load: Mapped[int | None]


class Keeper(ZooBase):
    """Its cages are loaded in every way there is."""

    __tablename__ = "keepers"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str | None] = mapped_column(String(40))
    asked: Mapped[list["Cage"]] = relationship(viewonly=True)
    refused: Mapped[list["Cage"]] = relationship(viewonly=True, lazy="raise_on_sql")
    written: DynamicMapped["Cage"] = relationship(viewonly=True)


class Cage(ZooBase):
    __tablename__ = "cages"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    keeper_id: Mapped[int | None] = mapped_column(ForeignKey("keepers.id"))


class ByJoin(ZooBase):
    """False is another word for joined."""

    __tablename__ = "by_join"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    cage_id: Mapped[int | None] = mapped_column(ForeignKey("cages.id"))
    cage: Mapped[Cage | None] = relationship(lazy=False)


class Viewed(ZooBase):
    """Its key is no key of the table's, so that rows may be one."""

    __tablename__ = "viewed"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    other: Mapped[int | None] = mapped_column()
    __mapper_args__ = {"primary_key": [other.column]}  # type: ignore[attr-defined]  # noqa: RUF012 - as above

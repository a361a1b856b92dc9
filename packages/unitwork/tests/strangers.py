"""Models of somebody else's program: two bases, metadata, naming and a schema of their own, keys and mappings of every
kind, and the library's mixins on them.
"""

import uuid
from typing import Any

from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, registry, relationship

from unitwork import Database
from unitwork.audit import CONFIDENTIAL, AuditColumns, Audited
from unitwork.dao import BaseDao
from unitwork.models import SoftDelete, UTCDateTime, Versioned


class Library(DeclarativeBase):
    """The first base, in a schema where the database has them (`schema_translate_map`)."""

    metadata = MetaData(naming_convention={"pk": "key_of_%(table_name)s", "uq": "only_one_%(column_0_name)s"})


class Depot(DeclarativeBase):
    """The second one, of another registry."""

    metadata = MetaData(schema="depot")


class Author(Audited, Versioned, SoftDelete, Library):
    __tablename__ = "authors"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    address: Mapped[str | None] = mapped_column(String(80), info={CONFIDENTIAL: True})
    books: Mapped[list["Book"]] = relationship(back_populates="author", order_by="Book.number")


class Book(Audited, Versioned, SoftDelete, Library):
    """A key of two columns."""

    __tablename__ = "books"
    author_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("authors.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    title: Mapped[str] = mapped_column(String(80))
    author: Mapped[Author] = relationship(back_populates="books")


class Animal(Audited, Versioned, SoftDelete, Library):
    """Joined and single table inheritance; its own `__mapper_args__` beside the mixins'."""

    __tablename__ = "animals"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(80))
    __mapper_args__: Any = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}  # noqa: RUF012 - SQLAlchemy's


class Dog(Animal):
    __tablename__ = "dogs"
    id: Mapped[int] = mapped_column(ForeignKey("animals.id"), primary_key=True)
    trick: Mapped[str] = mapped_column(String(80))
    __mapper_args__: Any = {"polymorphic_identity": "dog"}  # noqa: RUF012 - SQLAlchemy's


class Cat(Animal):
    lives: Mapped[int | None]
    __mapper_args__: Any = {"polymorphic_identity": "cat"}  # noqa: RUF012 - SQLAlchemy's


class Vehicle(Library):
    """Base of a single-table hierarchy in which only cars are audited."""

    __tablename__ = "vehicles"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(80))
    __mapper_args__: Any = {"polymorphic_on": "kind", "polymorphic_identity": "vehicle"}  # noqa: RUF012 - SQLAlchemy's


class Car(Audited, Vehicle):
    __mapper_args__: Any = {"polymorphic_identity": "car"}  # noqa: RUF012 - SQLAlchemy's


class Crate(Audited, Versioned, SoftDelete, Depot):
    """Model of the second base, with a key of text and a version column of another name."""

    __tablename__ = "crates"
    code: Mapped[str] = mapped_column(String(20), primary_key=True)
    content: Mapped[str] = mapped_column(String(80))


class Parcel(Audited, Versioned, SoftDelete):
    """Mapped imperatively, on the second base's registry."""

    number: int
    label: str


PARCELS = Table(
    "parcels",
    Depot.metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("label", String(80), nullable=False),
    Column("version", Integer, nullable=False, default=1),
    Column("deleted_at", UTCDateTime),
)
imperatively = registry(metadata=Depot.metadata)
imperatively.map_imperatively(Parcel, PARCELS)


class Notice(Library):
    """Has a `deleted_at` of its own, which is an ordinary column."""

    __tablename__ = "notices"
    id: Mapped[int] = mapped_column(primary_key=True)
    deleted_at: Mapped[str | None] = mapped_column(String(20))


class Change(AuditColumns, Depot):
    """Entries in the second base's schema, of keys of every kind."""

    __tablename__ = "changes"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    record_id: Mapped[str | None] = mapped_column(String(200), index=True)


async def renamed(database: Database, authors: BaseDao[Author], id: uuid.UUID) -> None:
    """Change a row that a transaction has loaded."""
    async with database.transaction() as tx:
        (await authors.get(id)).name = "changed"
        await tx.session.flush()

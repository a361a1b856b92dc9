"""Models with one of everything a table can have; their tables are no part of the schema."""

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy import Enum as EnumType
from sqlalchemy.orm import Mapped, mapped_column

from unitwork.models import Base
from unitwork.models.base import ModelMixin
from unitwork.models.utc_datetime import UTCDateTime


class Genre(Enum):
    """No StrEnum: a column holds the name."""

    FICTION = 1
    POETRY = 2


class ShelfBase(Base):
    __abstract__ = True
    metadata = MetaData(naming_convention=Base.metadata.naming_convention)


class Shelf(ModelMixin, ShelfBase):
    """What books stand on."""

    __tablename__ = "shelves"
    __table_args__ = (
        UniqueConstraint("room", "place"),
        Index(
            "ix_shelves_label_kept",
            "label",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
            sqlite_where=text("deleted_at IS NULL"),
        ),
    )

    room: Mapped[str | None] = mapped_column(String(20))
    place: Mapped[int | None]
    label: Mapped[str | None] = mapped_column(String(20))


class Book(ModelMixin, ShelfBase):
    """It outlives its shelf."""

    __tablename__ = "books"
    __table_args__ = (CheckConstraint("copies >= 0 AND (title <> '' OR price IS NULL)", name="sense"),)

    title: Mapped[str] = mapped_column(String(100))
    subtitle: Mapped[str | None] = mapped_column(String(100))
    copies: Mapped[int] = mapped_column(default=1)
    lent: Mapped[bool] = mapped_column(default=False)
    price: Mapped[Decimal | None] = mapped_column(Numeric(8, 2))
    genre: Mapped[Genre] = mapped_column(EnumType(Genre, native_enum=False), default=Genre.FICTION)
    printed: Mapped[date | None]
    tags: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    isbn: Mapped[str | None] = mapped_column(String(20), unique=True)
    shelf_id: Mapped[int | None] = mapped_column(ForeignKey("shelves.id", ondelete="SET NULL"))


class Leaf(ShelfBase):
    """It has no version, no stamps, and a number that the database counts; with it its book can't go."""

    __tablename__ = "leaves"

    id: Mapped[int] = mapped_column(primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id"))
    text: Mapped[str] = mapped_column(String(100), default="blank")


class Keepsake(ModelMixin, ShelfBase):
    """One value of each type that databases keep in their own ways."""

    __tablename__ = "keepsakes"

    document: Mapped[Any] = mapped_column(JSON, nullable=True)
    amount: Mapped[Decimal | None] = mapped_column(Numeric(24, 6))
    moment: Mapped[datetime | None] = mapped_column(UTCDateTime)
    genre: Mapped[Genre | None] = mapped_column(EnumType(Genre, native_enum=False))
    token: Mapped[UUID | None] = mapped_column(Uuid)
    data: Mapped[bytes | None] = mapped_column(LargeBinary)
    words: Mapped[str | None]

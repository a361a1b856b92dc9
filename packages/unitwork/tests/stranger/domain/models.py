"""Orders and their lines, on this project's own base, with keys of its own kinds."""

import uuid

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from unitwork.models import Authorship, SnowflakeId, SoftDelete, Timestamps, Versioned


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    customer: Mapped[str] = mapped_column(String(80))


class Line(Base):
    __tablename__ = "lines"
    order_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    article: Mapped[str] = mapped_column(String(80))


class Shelf(SnowflakeId, Versioned, Timestamps, Authorship, SoftDelete, Base):
    __tablename__ = "shelves"
    label: Mapped[str] = mapped_column(String(80), unique=True)

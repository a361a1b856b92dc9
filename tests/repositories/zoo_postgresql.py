"""Models of the zoo that only PostgreSQL has room for."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Integer, MetaData, Numeric, Sequence, String, Uuid, func, literal_column, text
from sqlalchemy import Enum as EnumType
from sqlalchemy.dialects.postgresql import ARRAY, INT4RANGE, JSONB, Range
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tests.repositories.zoo import Diet
from unitwork.models import Base
from unitwork.models.utc_datetime import UTCDateTime


class PostgresqlZooBase(DeclarativeBase):
    """Likewise."""

    metadata = MetaData(naming_convention=Base.metadata.naming_convention)


class ByServersUuid(PostgresqlZooBase):
    """A key and a moment that the database makes."""

    __tablename__ = "by_servers_uuid"
    __table_args__ = {"schema": "zoo"}  # noqa: RUF012 - as SQLAlchemy types it

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=text("gen_random_uuid()"))
    text: Mapped[str | None] = mapped_column(String(40))
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class BySequence(PostgresqlZooBase):
    """A number beside the key that a sequence gives, which a flush leaves in the database."""

    __tablename__ = "by_sequence"
    __table_args__ = {"schema": "zoo"}  # noqa: RUF012 - as above
    __mapper_args__ = {"eager_defaults": False}  # noqa: RUF012 - as above

    id: Mapped[int] = mapped_column(Sequence("by_sequence_ids", schema="zoo"), primary_key=True)
    text: Mapped[str | None] = mapped_column(String(40))
    number: Mapped[int] = mapped_column(server_default=literal_column("7"))


class Arrays(PostgresqlZooBase):
    __tablename__ = "arrays"
    __table_args__ = {"schema": "zoo"}  # noqa: RUF012 - as above

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    numbers: Mapped[list[int] | None] = mapped_column(ARRAY(Integer))
    diets: Mapped[list[Diet] | None] = mapped_column(ARRAY(EnumType(Diet, native_enum=False)))
    native: Mapped[list[Diet] | None] = mapped_column(ARRAY(EnumType(Diet, name="zoo_diet", schema="zoo")))
    moments: Mapped[tuple[datetime, ...] | None] = mapped_column(ARRAY(UTCDateTime, as_tuple=True))
    exact: Mapped[list[Decimal] | None] = mapped_column(ARRAY(Numeric(8, 2)))
    documents: Mapped[list[Any] | None] = mapped_column(ARRAY(JSONB))
    document: Mapped[Any] = mapped_column(JSONB, nullable=True)
    zoned: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    range: Mapped[Range[int] | None] = mapped_column(INT4RANGE)

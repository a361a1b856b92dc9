"""Models with what a mapping may have: each kind of key, column and attribute. Their tables are not in the schema."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Computed,
    Date,
    DateTime,
    Dialect,
    Double,
    Float,
    Identity,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Time,
    TypeDecorator,
    Uuid,
    func,
    literal,
    text,
)
from sqlalchemy import Enum as EnumType
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    column_property,
    composite,
    deferred,
    mapped_column,
    query_expression,
    reconstructor,
    synonym,
    validates,
)

from unitwork.models import Base
from unitwork.models.base import ModelMixin
from unitwork.models.relationships import refuse_lazy_loads
from unitwork.models.utc_datetime import UTCDateTime

KOLKATA: Final = timezone(timedelta(hours=5, minutes=30))
MOMENT: Final = datetime(2026, 3, 29, 2, 30, 0, 123456, tzinfo=KOLKATA)


class ZooBase(DeclarativeBase):
    """None of the accounts' models, which other tests look through."""

    metadata = MetaData(naming_convention=Base.metadata.naming_convention)


refuse_lazy_loads(ZooBase)


class Diet(Enum):
    """A column holds the name."""

    LEAVES = "leaves"
    MEAT = "meat"


class Rank(IntEnum):
    LOW = 1
    HIGH = 2


class Tags(TypeDecorator[frozenset[str]]):
    """Hashable values that the database knows as text."""

    impl = String(80)
    cache_ok = True

    def process_bind_param(self, value: frozenset[str] | None, dialect: Dialect) -> str | None:
        return None if value is None else ",".join(sorted(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> frozenset[str] | None:
        return None if value is None else frozenset(value.split(","))


class Shouted(TypeDecorator[str]):
    """Text that an expression of the database's wraps on its way in and out."""

    impl = String(40)
    cache_ok = True

    def bind_expression(self, bindparam: Any) -> Any:
        return func.upper(bindparam)

    def column_expression(self, column: Any) -> Any:
        return func.lower(column)


class Measured(TypeDecorator[int]):
    """A text that comes back as its length, by an expression of another type."""

    impl = String(40)
    cache_ok = True

    def column_expression(self, column: Any) -> Any:
        return func.length(column, type_=Halved())


class Halved(TypeDecorator[int]):
    impl = Integer
    cache_ok = True

    def process_result_value(self, value: int | None, dialect: Dialect) -> Any:
        return None if value is None else value / 2


class Lion(ModelMixin, ZooBase):
    """As the accounts' own models are: a snowflake, stamps, a version."""

    __tablename__ = "lions"

    name: Mapped[str | None] = mapped_column(String(40))
    diet: Mapped[Diet] = mapped_column(EnumType(Diet, native_enum=False), default=Diet.MEAT)
    weight: Mapped[Decimal | None] = mapped_column(Numeric(12, 3))
    born: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Types(ZooBase):
    """One column of each type."""

    __tablename__ = "types"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    native: Mapped[Diet | None] = mapped_column(EnumType(Diet, name="diet"))
    rank: Mapped[Rank | None] = mapped_column(EnumType(Rank, native_enum=False))
    word: Mapped[str | None] = mapped_column(EnumType("a", "b", native_enum=False))
    exact: Mapped[Decimal | None] = mapped_column(Numeric(20, 6))
    loose: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    as_float: Mapped[float | None] = mapped_column(Numeric(10, 2, asdecimal=False))
    floating: Mapped[float | None] = mapped_column(Double)
    float_decimal: Mapped[Decimal | None] = mapped_column(Float(53, asdecimal=True))
    document: Mapped[Any] = mapped_column(JSON, nullable=True)
    nullable_document: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    blob: Mapped[bytes | None] = mapped_column(LargeBinary)
    moment: Mapped[datetime | None] = mapped_column(UTCDateTime)
    naive: Mapped[datetime | None] = mapped_column(DateTime)
    day: Mapped[date | None] = mapped_column(Date)
    hour: Mapped[time | None] = mapped_column(Time)
    span: Mapped[timedelta | None] = mapped_column(Interval)
    flag: Mapped[bool | None] = mapped_column(Boolean(create_constraint=True, name="flag"))
    token: Mapped[UUID | None] = mapped_column(Uuid)
    token_text: Mapped[str | None] = mapped_column(Uuid(as_uuid=False))
    tags: Mapped[frozenset[str] | None] = mapped_column(Tags)


class Converted(ZooBase):
    """Columns whose values the database converts on their way."""

    __tablename__ = "converted"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    shouted: Mapped[str | None] = mapped_column(Shouted)
    varied: Mapped[str | None] = mapped_column(String(40).with_variant(Shouted(), "postgresql"))
    measured: Mapped[Any] = mapped_column(Measured, nullable=True)


class Counted(ZooBase):
    """A number that the database counts."""

    __tablename__ = "counted"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str | None] = mapped_column(String(40))


class ByIdentity(ZooBase):
    __tablename__ = "by_identity"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    text: Mapped[str | None] = mapped_column(String(40))


class ByUuid(ZooBase):
    __tablename__ = "by_uuid"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    text: Mapped[str | None] = mapped_column(String(40))


class ByText(ZooBase):
    __tablename__ = "by_text"

    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    text: Mapped[str | None] = mapped_column(String(40))


class ByTags(ZooBase):
    """A key whose type processes its values."""

    __tablename__ = "by_tags"

    id: Mapped[frozenset[str]] = mapped_column(Tags, primary_key=True)
    text: Mapped[str | None] = mapped_column(String(40))


class ByDecimal(ZooBase):
    __tablename__ = "by_decimal"

    id: Mapped[Decimal] = mapped_column(Numeric(8, 2), primary_key=True)
    text: Mapped[str | None] = mapped_column(String(40))


class ByDay(ZooBase):
    __tablename__ = "by_day"

    id: Mapped[date] = mapped_column(Date, primary_key=True)
    text: Mapped[str | None] = mapped_column(String(40))


class BySeveral(ZooBase):
    """The key's columns are not in the order of the mapping, one processes values, and one is an enum."""

    __tablename__ = "by_several"

    text: Mapped[str | None] = mapped_column(String(40))
    moment: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    diet: Mapped[Diet] = mapped_column(EnumType(Diet, native_enum=False), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class Named(ZooBase):
    """Names that aren't the columns', or are words of SQL's."""

    __tablename__ = "order"

    id: Mapped[int] = mapped_column("select", primary_key=True, autoincrement=False)
    other: Mapped[str | None] = mapped_column("From", String(40))
    keyed: Mapped[str | None] = mapped_column("column name", String(40), key="a_key")
    group: Mapped[int | None]
    percent: Mapped[int | None] = mapped_column("50%")


class Defaults(ZooBase):
    """Values that nobody gives: by Python in every way, and by the database."""

    __tablename__ = "defaults"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    slug: Mapped[str | None] = mapped_column(
        String(40), default=lambda context: f"{context.get_current_parameters()['title']}-slug"
    )
    title: Mapped[str | None] = mapped_column(String(40))
    blank: Mapped[str | None] = mapped_column(String(40), default=lambda: None)
    document: Mapped[Any] = mapped_column(JSON, default=dict)
    null_document: Mapped[Any] = mapped_column(JSON, nullable=True)


class Asking(ZooBase):
    """A default that asks the database."""

    __tablename__ = "asking"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    asked: Mapped[int | None] = mapped_column(default=lambda context: context.connection.scalar(text("SELECT 40 + 2")))
    after: Mapped[int | None] = mapped_column(default=lambda context: context.get_current_parameters()["asked"] + 1)


class ByServer(ZooBase):
    """What the database gives and computes."""

    __tablename__ = "by_server"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(server_default=text("7"))
    twice: Mapped[int | None] = mapped_column(Computed("number * 2", persisted=True))
    sql: Mapped[int | None] = mapped_column(default=literal(3) + 4)


class Grown(ZooBase):
    """Attributes that are no column, a validator, and a constructor of its own, which loading doesn't call."""

    __tablename__ = "grown"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    first: Mapped[str | None] = mapped_column(String(40))
    last: Mapped[str | None] = mapped_column(String(40))
    family = synonym("last")
    made = False

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.made = True

    @hybrid_property
    def whole(self) -> str:
        return f"{self.first} {self.last}"

    @validates("first")
    def _not_empty(self, _key: str, value: str | None) -> str | None:
        assert value != ""
        return value


class Propertied(ZooBase):
    """A column that is an expression, one that is read when it is asked for, and one for expressions of a query."""

    __tablename__ = "propertied"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    first: Mapped[str | None] = mapped_column(String(40))
    greeting: Mapped[str | None] = column_property(literal("hello ") + first)


class Lazy(ZooBase):
    __tablename__ = "lazy"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    first: Mapped[str | None] = mapped_column(String(40))
    long: Mapped[str | None] = deferred(mapped_column(String(40)))
    asked: Mapped[str | None] = query_expression()


@dataclass
class Point:
    x: int
    y: int


class Composed(ZooBase):
    __tablename__ = "composed"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    point: Mapped[Point] = composite(mapped_column("x"), mapped_column("y"))


class Mutable(ZooBase):
    """A value that tells its row of changes."""

    __tablename__ = "mutable"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    document: Mapped[Any] = mapped_column(MutableDict.as_mutable(JSON()))


class Rebuilt(ZooBase):
    __tablename__ = "rebuilt"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    text: Mapped[str | None] = mapped_column(String(40))

    @reconstructor
    def rebuild(self) -> None:
        self.rebuilt = True


class Dataclassed(MappedAsDataclass, ZooBase):
    __tablename__ = "dataclassed"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    text: Mapped[str | None] = mapped_column(String(40), default="given")
    inserted: Mapped[int] = mapped_column(insert_default=3, init=False)
    made: Mapped[int] = mapped_column(init=False, default=5)
    listed: Mapped[Any] = mapped_column(JSON, default_factory=list)

"""An unknown label is named wherever it stands: in arrays, in expressions, in what decorates an enum."""

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import (
    BigInteger,
    Dialect,
    MetaData,
    String,
    TypeDecorator,
    case,
    func,
    select,
    text,
    type_coerce,
    union_all,
)
from sqlalchemy import Enum as EnumType
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import DeclarativeBase, Mapped, composite, defer, mapped_column

from containers import Container
from unitwork.dao import BaseDao
from unitwork.errors import UnknownLabel
from unitwork.models import Base
from unitwork.testing.servers import mariadb_server

pytestmark = [pytest.mark.database("own"), pytest.mark.usefixtures("acting")]


class Diet(Enum):
    LEAVES = "leaves"
    MEAT = "meat"


class Lenient(EnumType):
    """Takes what it doesn't know for what it is."""

    cache_ok = True

    def _object_value_for_elem(self, elem: Any) -> Any:
        try:
            return super()._object_value_for_elem(elem)
        except LookupError:
            return f"unknown: {elem}"


class Wrapped(TypeDecorator[Diet]):
    impl = EnumType(Diet, native_enum=False, length=20)
    cache_ok = True


class Several(TypeDecorator[tuple[Diet, ...]]):
    """An array of enums that a program has given a name."""

    impl = ARRAY(Wrapped())
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[Diet, ...] | None:
        return None if value is None else tuple(value)


class PackBase(DeclarativeBase):
    metadata = MetaData(naming_convention=Base.metadata.naming_convention)


class Meal:
    def __init__(self, diet: Diet | None, course: str | None) -> None:
        self.diet, self.course = diet, course

    def __composite_values__(self) -> tuple[Any, ...]:
        return self.diet, self.course


class Wolf(PackBase):
    """Ways to hold a label that each database has."""

    __tablename__ = "wolves"

    pack: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    native: Mapped[Diet] = mapped_column(EnumType(Diet, name="wolf_diet"), default=Diet.MEAT)
    diet: Mapped[Diet] = mapped_column(EnumType(Diet, native_enum=False, length=20), default=Diet.MEAT)
    wrapped: Mapped[Diet] = mapped_column(Wrapped, default=Diet.MEAT)
    varied: Mapped[Any] = mapped_column(
        String(20).with_variant(
            EnumType(Diet, native_enum=False, length=20), "sqlite", "postgresql", "mysql", "mariadb"
        ),
        default=Diet.MEAT,
    )
    lenient: Mapped[Any] = mapped_column(Lenient(Diet, native_enum=False, length=20), default=Diet.MEAT)
    eaten: Mapped[Diet] = mapped_column("meal_diet", EnumType(Diet, native_enum=False, length=20), default=Diet.MEAT)
    course: Mapped[str] = mapped_column(String(20), default="first")
    meal: Mapped[Meal] = composite("eaten", "course")


class Pack(PackBase):
    """Arrays, which PostgreSQL has."""

    __tablename__ = "packs"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    native: Mapped[list[Diet] | None] = mapped_column(ARRAY(EnumType(Diet, name="pack_diet")))
    diets: Mapped[list[Diet] | None] = mapped_column(ARRAY(EnumType(Diet, native_enum=False, length=20)))
    deep: Mapped[Any] = mapped_column(ARRAY(EnumType(Diet, native_enum=False, length=20), dimensions=2), nullable=True)
    several: Mapped[tuple[Diet, ...] | None] = mapped_column(Several)
    lenient: Mapped[list[Any] | None] = mapped_column(ARRAY(Lenient(Diet, native_enum=False, length=20)))


LABELS = ("diet", "wrapped", "varied", "meal_diet")
ARRAYS = {
    "native": "'{LEAVES,hibernated}'",
    "diets": "'{LEAVES,NULL,hibernated}'",
    "deep": "'{{LEAVES,MEAT},{NULL,hibernated}}'",
    "several": "'{hibernated}'",
}
Read = Callable[[Container, BaseDao[Any]], Awaitable[Any]]


async def streamed(_container: Container, dao: BaseDao[Any]) -> None:
    async for _ in dao.query().stream(chunk=1):
        pass


async def streamed_rows(container: Container, dao: BaseDao[Any]) -> None:
    async with container.transaction()() as tx:
        async for _ in await tx.session.stream(select(dao.model.__table__)):
            pass


async def refreshed(container: Container, dao: BaseDao[Any]) -> None:
    async with container.transaction()() as tx:
        columns = [one for one in dao.model.__mapper__.column_attrs if one.key != "lenient"]
        options = [defer(one.class_attribute) for one in columns if not one.columns[0].primary_key]
        row = (await tx.session.scalars(select(dao.model).options(*options))).one()
        await tx.session.refresh(row, [one.key for one in columns])


async def merged(container: Container, dao: BaseDao[Any]) -> None:
    async with container.transaction()() as tx:
        await tx.session.merge(dao.model(pack=1, id=2) if dao.model is Wolf else dao.model(id=2))


async def deleted(container: Container, dao: BaseDao[Any]) -> None:
    """In a transaction, which the error undoes."""
    async with container.transaction()():
        await dao.delete().all_rows().returning()


async def executed(container: Container, dao: BaseDao[Any]) -> None:
    async with container.transaction()() as tx:
        (await tx.session.execute(select(dao.model))).all()


async def of_a_table(container: Container, dao: BaseDao[Any]) -> None:
    async with container.transaction()() as tx:
        await tx.session.execute(select(dao.model.__table__))


async def got(container: Container, dao: BaseDao[Any]) -> None:
    if dao.model is Wolf:
        async with container.transaction()() as tx:
            await tx.session.get(Wolf, (1, 2))
    await dao.get(2)


READS: dict[str, Read] = {
    "get": got,
    "get_or_none": lambda _, dao: dao.query().eq("id", 2).one_or_none(),
    "all": lambda _, dao: dao.query().all(),
    "first": lambda _, dao: dao.query().first(),
    "page": lambda _, dao: dao.query().page(1, 10),
    "after": lambda _, dao: dao.query().after(None, 10),
    "delete": deleted,
    "a stream": streamed,
    "a stream of rows": streamed_rows,
    "refresh": refreshed,
    "merge": merged,
    "execute": executed,
    "a table": of_a_table,
}


async def sent(container: Container, *statements: str) -> None:
    async with container.engine().begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


@pytest_asyncio.fixture
async def wolves(container: Container) -> BaseDao[Any]:
    async with container.engine().begin() as connection:
        await connection.run_sync(Wolf.__table__.create)  # type: ignore[attr-defined]  # a Table
    dao = BaseDao[Any](container.session_provider(), Wolf)
    async with container.transaction()() as tx:
        tx.session.add(Wolf(pack=1, id=2))
    for _ in range(3):  # ways that keep a plan have one
        assert (await dao.query().eq("id", 2).one_or_none()) is not None
    return dao


async def told_by(container: Container, dao: BaseDao[Any], column: str, value: str) -> dict[str, object]:
    """What each way to read a row with this value in a column raises: one fact where they are alike."""
    await sent(container, f"UPDATE {dao.model.__tablename__} SET {column} = {value}")
    told: dict[str, object] = {}
    for name, read in READS.items():
        try:
            told[name] = await read(container, dao)
        except UnknownLabel as error:
            told[name] = (error.table, error.column, error.label, tuple(error.key.items()))
    assert container.schema().connections_in_use == 0
    return told


async def test_each_way_names_the_row_of_a_label(container: Container, wolves: BaseDao[Any]) -> None:
    for column in LABELS:
        told = await told_by(container, wolves, column, "'hibernated'")
        assert told == dict.fromkeys(READS, ("wolves", column, "hibernated", (("pack", 1), ("id", 2))))
        await sent(container, f"UPDATE wolves SET {column} = 'LEAVES'")


async def test_a_type_that_takes_what_it_does_not_know_is_let_alone(container: Container, wolves: BaseDao[Any]) -> None:
    await sent(container, "UPDATE wolves SET lenient = 'hibernated'")
    for _ in range(3):
        assert (await wolves.query().one()).lenient == "unknown: hibernated"
        assert [row.lenient async for row in wolves.query().stream()] == ["unknown: hibernated"]


STATEMENTS: dict[str, Any] = {
    "a label": select(Wolf.pack, Wolf.id, Wolf.diet.label("other")),
    "an aggregate": select(Wolf.pack, Wolf.id, func.max(Wolf.diet)).group_by(Wolf.pack, Wolf.id),
    "coalesce": select(Wolf.pack, Wolf.id, func.coalesce(Wolf.diet, "MEAT")),
    "case": select(Wolf.pack, Wolf.id, case((Wolf.id > 0, Wolf.diet))),
    "type_coerce": select(Wolf.pack, Wolf.id, type_coerce(Wolf.diet, Wolf.diet.type)),
    "a union": union_all(select(Wolf.pack, Wolf.id, Wolf.diet), select(Wolf.pack, Wolf.id, Wolf.diet)),
    "a text of columns": text("SELECT pack, id, diet FROM wolves").columns(Wolf.pack, Wolf.id, Wolf.diet),
}


async def test_an_expression_names_the_column_that_it_takes_its_labels_from(
    container: Container, wolves: BaseDao[Any]
) -> None:
    await sent(container, "UPDATE wolves SET diet = 'hibernated'")
    for name, statement in STATEMENTS.items():
        for streaming in (False, True):
            with pytest.raises(UnknownLabel) as told:
                async with container.transaction()() as tx:
                    if streaming:
                        async for _ in await tx.session.stream(statement):
                            pass
                    (await tx.session.execute(statement)).all()
            error = told.value
            assert (error.table, error.column, error.key) == ("wolves", "diet", {"pack": 1, "id": 2}), name


async def test_where_no_column_is_known_the_answer_is_named(container: Container, wolves: BaseDao[Any]) -> None:
    await sent(container, "UPDATE wolves SET diet = 'hibernated'")
    typed = text("SELECT diet FROM wolves").columns(diet=Wolf.diet.type)
    with pytest.raises(UnknownLabel, match="a row of the answer has 'hibernated' in diet"):
        async with container.transaction()() as tx:
            (await tx.session.execute(typed)).all()


@pytest.mark.parametrize("backend", ["mariadb"] if mariadb_server.named() else [], indirect=True)
async def test_what_mariadb_puts_in_the_place_of_a_wrong_label_is_what_sqlalchemy_makes_of_it(
    container: Container, wolves: BaseDao[Any]
) -> None:
    await sent(container, "SET SESSION sql_mode = ''", "UPDATE wolves SET native = 'hibernated'")
    assert (await wolves.query().one()).native == ""


@pytest_asyncio.fixture
async def packs(container: Container) -> BaseDao[Any]:
    async with container.engine().begin() as connection:
        await connection.run_sync(Pack.__table__.create)  # type: ignore[attr-defined]  # a Table
    dao = BaseDao[Any](container.session_provider(), Pack)
    both = [Diet.LEAVES, Diet.MEAT]
    await dao.add(Pack(id=2, native=both, diets=both, deep=[both, both], several=tuple(both), lenient=both))
    for _ in range(3):
        row = await dao.get(2)
        assert (row.native, row.deep, row.several) == (both, [both, both], tuple(both))
        assert (await dao.query().eq("id", 2).one_or_none()) is not None
    return dao


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_each_way_names_the_row_of_a_label_in_an_array(container: Container, packs: BaseDao[Any]) -> None:
    await sent(container, "ALTER TYPE pack_diet ADD VALUE 'hibernated'")
    for column, value in ARRAYS.items():
        told = await told_by(container, packs, column, value)
        assert told == dict.fromkeys(READS, ("packs", column, "hibernated", (("id", 2),)))
        await sent(container, f"UPDATE packs SET {column} = '{{}}'")


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_what_an_array_may_hold_is_read(container: Container, packs: BaseDao[Any]) -> None:
    await sent(container, "UPDATE packs SET diets = '{LEAVES,NULL}', deep = '{{NULL}}', lenient = '{hibernated,MEAT}'")
    for _ in range(3):
        row = await packs.get(2)
        assert (row.diets, row.deep, row.lenient) == ([Diet.LEAVES, None], [[None]], ["unknown: hibernated", Diet.MEAT])
    async with container.transaction()() as tx:
        statement = select(func.array_agg(Pack.diets))
        assert (await tx.session.execute(statement)).scalar_one() == [[Diet.LEAVES, None]]
    await sent(container, "UPDATE packs SET diets = '{hibernated}'")
    with pytest.raises(UnknownLabel, match="a row of packs has 'hibernated' in diets"):
        async with container.transaction()() as tx:
            (await tx.session.execute(statement)).all()

"""Views that a migration replaces under traffic, and MariaDB's tables that change under an older transaction."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, Final

import pytest
from sqlalchemy import BigInteger, MetaData, String, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from containers import Container
from unitwork import Outcome, Propagation, Retry, execute_transaction
from unitwork.dao import BaseDao
from unitwork.errors import StatementOutdated
from unitwork.testing.servers import mariadb_server

pytestmark = pytest.mark.database("own")
ON_MARIADB: Final = pytest.mark.parametrize("backend", ["mariadb"] if mariadb_server.named() else [], indirect=True)
SECONDS: Final = 2.0
LONGEST: Final = 30.0
"""Seconds more, until each has been answered a few times."""


class ViewBase(DeclarativeBase):
    metadata = MetaData()


class Berth(ViewBase):
    """A view over two tables."""

    __tablename__ = "berths_seen"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    ship: Mapped[str] = mapped_column(String(40))
    place: Mapped[Any] = mapped_column(String(40))


TABLES: Final = (
    "CREATE TABLE ships (id bigint PRIMARY KEY, name varchar(40))",
    "CREATE TABLE places (id bigint PRIMARY KEY, ship bigint, name varchar(40))",
    "INSERT INTO ships VALUES (1, 'Ada'), (2, 'Eve')",
    "INSERT INTO places VALUES (1, 1, 'pier'), (2, 2, 'quay')",
)
VIEW: Final = "SELECT places.id, ships.name AS ship, {} FROM places JOIN ships ON ships.id = places.ship"
COLUMNS: Final = (
    "places.name AS place",
    "upper(places.name) AS place, 1 AS added",
    "CAST(places.name AS char(10)) AS place, places.ship AS other",
)
"""What the view has beside, from one migration to the next: other types, other columns."""


@pytest.fixture
async def elsewhere(container: Container) -> AsyncIterator[AsyncEngine]:
    """Somebody who migrates, on connections of an engine of their own."""
    engine = create_async_engine(container.settings().database.url)
    async with engine.begin() as connection:
        for statement in (*TABLES, f"CREATE VIEW berths_seen AS {VIEW.format(COLUMNS[0])}"):
            await connection.exec_driver_sql(statement)
    yield engine
    await engine.dispose()


async def replaced(engine: AsyncEngine, columns: str) -> None:
    """In one transaction, or in the one statement that MariaDB has for it."""
    view = f"VIEW berths_seen AS {VIEW.format(columns)}"
    if engine.dialect.name == "postgresql":
        statements = ["DROP VIEW berths_seen", f"CREATE {view}"]
    else:
        statements = [f"CREATE OR REPLACE {view}"]
    async with engine.begin() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


async def altered(engine: AsyncEngine, columns: str) -> None:
    """The view, and a type under it."""
    length = 41 + len(columns)
    await replaced(engine, "1 AS place")
    async with engine.begin() as connection:
        change = "ALTER COLUMN name TYPE" if engine.dialect.name == "postgresql" else "MODIFY COLUMN name"
        if engine.dialect.name == "postgresql":  # it lets no type change under a view
            await connection.exec_driver_sql("DROP VIEW berths_seen")
        await connection.exec_driver_sql(f"ALTER TABLE places {change} varchar({length})")
        if engine.dialect.name == "postgresql":
            await connection.exec_driver_sql(f"CREATE VIEW berths_seen AS {VIEW.format(columns)}")
    if engine.dialect.name != "postgresql":
        await replaced(engine, columns)


@pytest.mark.parametrize("backend", ["postgresql", *(["mariadb"] if mariadb_server.named() else [])], indirect=True)
@pytest.mark.parametrize("migrate", [replaced, altered])
async def test_a_view_is_replaced_under_traffic(
    container: Container, elsewhere: AsyncEngine, migrate: Callable[[AsyncEngine, str], Awaitable[None]]
) -> None:
    """What commits by itself, and `retry`, go again; a transaction without it says what it is."""
    berths, transaction = BaseDao[Any](container.session_provider(), Berth), container.transaction()
    answers: Counter[str] = Counter()
    end = time.monotonic() + SECONDS

    async def work(session: AsyncSession) -> list[str]:
        await session.execute(select(Berth.ship))
        return [berth.ship for berth in await berths.query().order_by("id").all()]

    async def one() -> list[str]:
        return [(await berths.get(1)).ship, "Eve"]

    async def every() -> list[str]:
        return [berth.ship for berth in await berths.query().order_by("id").all()]

    async def without() -> list[str]:
        async with transaction(Propagation.NOT_SUPPORTED) as tx:
            return list((await tx.session.scalars(select(Berth.ship).order_by(Berth.id))).all())

    async def replayed() -> list[str]:
        return await execute_transaction(transaction, work, retry=Retry(attempts=20))

    async def plain() -> list[str]:
        try:
            return await execute_transaction(transaction, work)
        except StatementOutdated:
            answers["outdated"] += 1
            return ["Ada", "Eve"]

    def goes_on() -> bool:
        """On a machine that is busy with something else, longer."""
        late = time.monotonic() > end + LONGEST
        few = min(answers[name] for name in (*(ask.__name__ for ask in asked), "migrations")) <= 2
        return time.monotonic() < end or (few and not late)

    async def client(ask: Callable[[], Awaitable[list[str]]]) -> None:
        while goes_on():
            assert await ask() == ["Ada", "Eve"]
            answers[ask.__name__] += 1

    async def migrations() -> None:
        for columns in itertools.cycle(COLUMNS[1:] + COLUMNS[:1]):
            await migrate(elsewhere, columns)
            answers["migrations"] += 1
            await asyncio.sleep(0.01)
            if not goes_on():
                return

    asked = (one, every, without, replayed, plain)
    await asyncio.gather(migrations(), *(client(ask) for ask in asked))
    assert min(answers[ask.__name__] for ask in asked) > 2
    assert answers["migrations"] > 2
    assert container.schema().connections_in_use == 0


REBUILDS: Final = ("ALTER TABLE places FORCE", "ALTER TABLE places ENGINE = InnoDB", "TRUNCATE TABLE places")
"""Whose table is a new one to MariaDB. A column that is added at once leaves the old one."""


@ON_MARIADB
async def test_a_table_that_is_younger_than_its_transactions_snapshot(
    container: Container, elsewhere: AsyncEngine
) -> None:
    """Error 1412, as the server gives it."""
    transaction = container.transaction()
    attempts: list[int] = []

    async def work(session: AsyncSession, change: str) -> int:
        attempts.append(1)
        connection = await session.connection()
        await connection.exec_driver_sql("SELECT * FROM ships")  # the snapshot is of now
        if len(attempts) == 1:
            async with elsewhere.begin() as other:
                await other.exec_driver_sql(change)
        await session.execute(select(Berth))
        return len(attempts)

    for change in REBUILDS:
        attempts.clear()
        with pytest.raises(StatementOutdated, match="since the transaction began") as told:
            async with transaction(isolation="REPEATABLE READ") as tx:
                await work(tx.session, change)
        assert (tx.outcome, told.value.sqlstate) == (Outcome.ROLLED_BACK, "HY000")
        attempts.clear()
        answer = await execute_transaction(
            transaction, partial(work, change=change), retry=3, isolation="REPEATABLE READ"
        )
        assert answer == 2
        async with transaction() as tx:  # READ COMMITTED: each statement sees what there is
            attempts.clear()
            assert await work(tx.session, change) == 1
    assert container.schema().connections_in_use == 0

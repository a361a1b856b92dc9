"""Types that change under prepared statements: values are encoded and read by what the types are now."""

from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Column, Enum, Integer, MetaData, Numeric, Table, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container
from unitwork import Propagation, execute_transaction
from unitwork.backends.copy import Copy, copy_records
from unitwork.errors import CommitOutcomeUnknown, StatementOutdated

pytestmark = [pytest.mark.parametrize("backend", ["postgresql"], indirect=True), pytest.mark.database("own")]


async def test_how_values_are_read_follows_the_new_type(container: Container, elsewhere: asyncpg.Connection) -> None:
    await elsewhere.execute(
        "CREATE TABLE prices (id bigint PRIMARY KEY, price numeric); INSERT INTO prices VALUES (1, 2)"
    )
    prices = Table("prices", MetaData(), Column("id", Integer), Column("price", Numeric))

    async def price() -> Any:
        async with container.transaction()(Propagation.NOT_SUPPORTED) as tx:
            return await tx.session.scalar(select(prices.c.price))

    assert [await price(), await price()] == [Decimal(2), Decimal(2)]
    await elsewhere.execute("ALTER TABLE prices ALTER COLUMN price TYPE double precision")
    assert [type(await price()), type(await price())] == [Decimal, Decimal]


async def test_copy_goes_by_the_types_of_now(container: Container, elsewhere: asyncpg.Connection) -> None:
    await elsewhere.execute("CREATE TABLE counts (id integer, counted bigint)")
    counts = Table("counts", MetaData(), Column("id", Integer), Column("counted", Integer))

    async def store(number: Any) -> None:
        async with container.transaction()() as tx:
            await tx.session.execute(text("SELECT 1"))
            await copy_records(tx.session, Copy(counts, ["id", "counted"], [(1, number)]))

    await store(7)
    await elsewhere.execute(
        "ALTER TABLE counts ALTER COLUMN id TYPE bigint, ALTER COLUMN counted TYPE double precision"
    )
    await store(8.0)  # a bigint is as long, and would be stored as 4e-323
    assert await elsewhere.fetch("SELECT id, counted FROM counts ORDER BY counted") == [(1, 7.0), (1, 8.0)]


async def test_an_enum_type_that_was_replaced_is_looked_up_anew(
    container: Container, elsewhere: asyncpg.Connection
) -> None:
    await elsewhere.execute(
        "CREATE TYPE mood AS ENUM ('glad'); CREATE TABLE moods (mood mood); INSERT INTO moods VALUES ('glad')"
    )
    moods = Table("moods", MetaData(), Column("mood", Enum("glad", "sad", name="mood")))

    async def glad() -> Any:
        async with container.transaction()(Propagation.NOT_SUPPORTED) as tx:
            return await tx.session.scalar(select(moods.c.mood).where(moods.c.mood == "glad"))

    async def replace() -> None:
        await elsewhere.execute(
            "ALTER TYPE mood RENAME TO old; CREATE TYPE mood AS ENUM ('glad', 'sad');"
            "ALTER TABLE moods ALTER COLUMN mood TYPE mood USING mood::text::mood; DROP TYPE old"
        )

    assert [await glad(), await glad()] == ["glad", "glad"]
    await replace()
    assert [await glad(), await glad()] == ["glad", "glad"]

    async def add(session: AsyncSession) -> None:
        await session.execute(text("SELECT 1"))
        await session.execute(insert(moods).values(mood="glad"))
        await session.execute(insert(moods), [{"mood": "glad"}, {"mood": "glad"}])

    for _ in range(2):
        await execute_transaction(container.transaction(), add)
    await replace()
    await execute_transaction(container.transaction(), add, retry=4)
    assert await elsewhere.fetchval("SELECT count(*) FROM moods") == 10


async def test_an_answer_in_a_type_that_has_changed(container: Container, elsewhere: asyncpg.Connection) -> None:
    """asyncpg finds out when the server has run the statement: a write that commits by itself is stored."""
    await elsewhere.execute(
        "CREATE TYPE pair AS (a integer); CREATE TABLE pairs (id integer, pair pair);"
        "INSERT INTO pairs VALUES (1, ROW(1))"
    )
    read, write = text("SELECT pair FROM pairs"), text("UPDATE pairs SET id = id + 1 RETURNING pair")
    provider = container.session_provider()

    async def alone(statement: Any) -> Any:
        async with container.transaction()(Propagation.NOT_SUPPORTED) as tx:
            return (await tx.session.execute(statement)).scalar()

    async def streamed() -> list[Any]:
        async with provider() as session:
            return [row async for row in await session.stream(read)]

    await alone(read)
    await alone(write)
    await streamed()
    assert await elsewhere.fetchval("SELECT id FROM pairs") == 2
    await elsewhere.execute("ALTER TYPE pair ADD ATTRIBUTE b integer")
    with pytest.raises(CommitOutcomeUnknown):
        await alone(write)
    assert await elsewhere.fetchval("SELECT id FROM pairs") == 3
    assert len(await alone(read)) == 2
    await streamed()
    await elsewhere.execute("ALTER TYPE pair ADD ATTRIBUTE c integer")
    with pytest.raises(StatementOutdated):
        await streamed()
    assert len((await streamed())[0][0]) == 3

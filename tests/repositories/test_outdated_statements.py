"""Statements that were prepared before the schema changed, or that the session has dropped: nothing was stored, and the
next try succeeds.
"""

import itertools
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final

import asyncpg
import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container, running
from settings import Settings
from tests.repositories.shelves import Keepsake, ShelfBase
from unitwork import Propagation, execute_transaction
from unitwork.dao import BaseDao
from unitwork.errors import DriverError, StatementOutdated, TransactionRolledBack

pytestmark = [
    pytest.mark.parametrize("backend", ["postgresql"], indirect=True),
    pytest.mark.usefixtures("acting"),
    pytest.mark.database("own"),
]

WIDER: Final = "ALTER TABLE keepsakes ALTER COLUMN words TYPE varchar({})"
_lengths = itertools.count(100)


@pytest.fixture
async def container(database_url: str) -> AsyncIterator[Container]:
    settings = Settings(database={"url": database_url, "pool_size": 2, "max_overflow": 0}, node_id=1)
    async with running(Container(settings=settings)) as container:
        async with container.engine().begin() as connection:
            await connection.run_sync(ShelfBase.metadata.create_all)
        yield container
        assert container.schema().connections_in_use == 0


@pytest.fixture
def keepsakes(container: Container) -> BaseDao[Keepsake]:
    return BaseDao(container.session_provider(), Keepsake)


@pytest.fixture
async def kept(keepsakes: BaseDao[Keepsake]) -> Keepsake:
    return await keepsakes.add(Keepsake(words="first"))


async def changed_type(_container: Container, elsewhere: asyncpg.Connection) -> None:
    await elsewhere.execute(WIDER.format(next(_lengths)))


async def discarded(container: Container, _elsewhere: asyncpg.Connection) -> None:
    await on_every_connection(container, "DISCARD ALL")


async def deallocated(container: Container, _elsewhere: asyncpg.Connection) -> None:
    await on_every_connection(container, "DEALLOCATE ALL")


async def plans_discarded(container: Container, _elsewhere: asyncpg.Connection) -> None:
    await on_every_connection(container, "DISCARD PLANS")


async def replaced(_container: Container, elsewhere: asyncpg.Connection) -> None:
    await elsewhere.execute(
        "ALTER TABLE keepsakes RENAME TO old; CREATE TABLE keepsakes AS SELECT * FROM old; DROP TABLE old"
    )


async def dropped_and_added(_container: Container, elsewhere: asyncpg.Connection) -> None:
    await elsewhere.execute(
        "ALTER TABLE keepsakes ADD COLUMN other text; UPDATE keepsakes SET other = words;"
        "ALTER TABLE keepsakes DROP COLUMN words; ALTER TABLE keepsakes RENAME COLUMN other TO words"
    )


async def moved_by_search_path(container: Container, elsewhere: asyncpg.Connection) -> None:
    await elsewhere.execute(
        "CREATE SCHEMA IF NOT EXISTS moved; DROP TABLE IF EXISTS moved.keepsakes;"
        "CREATE TABLE moved.keepsakes AS SELECT * FROM public.keepsakes; "
        "ALTER TABLE moved.keepsakes ALTER COLUMN words TYPE text"
    )
    await on_every_connection(container, "SET search_path = moved, public")


async def on_every_connection(container: Container, statement: str) -> None:
    """As an extension, or a listener that prepares connections, would: past our sessions."""
    engine = container.engine().execution_options(isolation_level="AUTOCOMMIT")
    connections = [await engine.connect() for _ in range(2)]
    for connection in reversed(connections):  # the one used last is the next to be used
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.execute(statement)
        await connection.close()


CAUSES: Final = (
    changed_type, discarded, deallocated, plans_discarded, replaced, dropped_and_added, moved_by_search_path,
)  # fmt: skip
cause = pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.__name__)


@cause
async def test_a_lone_statement_goes_again_by_itself(
    container: Container, keepsakes: BaseDao[Keepsake], kept: Keepsake, elsewhere: asyncpg.Connection, cause: Any
) -> None:
    for turn in range(3):
        for _ in range(2):  # the first time by SQLAlchemy, the second by the driver
            assert (await keepsakes.get(kept.id)).id == kept.id
            assert await keepsakes.query().eq("id", kept.id).exists()
            assert await keepsakes.update().eq("id", kept.id).set(words=f"turn {turn}").execute() == 1
            [row] = await keepsakes.update().eq("id", kept.id).set(words=f"turn {turn}").returning()
            assert row.words == f"turn {turn}"
            async with container.transaction()(Propagation.NOT_SUPPORTED) as tx:
                words = await tx.session.scalar(select(Keepsake.words).where(Keepsake.id == kept.id))
                assert words == f"turn {turn}"
                change = update(Keepsake).where(Keepsake.id == kept.id).values(words=words).returning(Keepsake.words)
                assert (await tx.session.execute(change)).scalar_one() == words
        await cause(container, elsewhere)


@cause
async def test_a_transaction_is_typed_or_replayed(
    container: Container, keepsakes: BaseDao[Keepsake], kept: Keepsake, elsewhere: asyncpg.Connection, cause: Any
) -> None:
    attempts: list[int] = []

    async def work(session: AsyncSession) -> str:
        attempts.append(1)
        await session.execute(text("SELECT 1"))
        found = await keepsakes.get(kept.id)
        session.add(Keepsake(words="new"))
        await session.flush()
        async for _ in await session.stream(select(Keepsake)):
            pass
        async with session.begin_nested():
            await session.execute(insert(Keepsake), [{"words": "b"}, {"words": "c"}])
        return str(found.words)

    transaction = container.transaction()
    for _ in range(3):
        await execute_transaction(transaction, work)
    before = await keepsakes.count().rows()
    await cause(container, elsewhere)
    attempts.clear()
    assert await execute_transaction(transaction, work, retry=4) == "first"
    assert await keepsakes.count().rows() == before + 3
    await cause(container, elsewhere)
    before, told = await keepsakes.count().rows(), list[str]()
    for _ in range(4):
        try:
            await execute_transaction(transaction, work)
        except StatementOutdated as error:
            told.append(str(error))
    assert await keepsakes.count().rows() == before + 3 * (4 - len(told))
    assert len(told) in ({1, 2} if cause in {changed_type, discarded, deallocated} else {0})
    assert all("Try the whole unit again" in words for words in told)


async def test_one_error_is_enough_for_all_connections(
    container: Container, keepsakes: BaseDao[Keepsake], kept: Keepsake, elsewhere: asyncpg.Connection
) -> None:
    transaction = container.transaction()

    async def on_both() -> None:
        async with transaction():
            await keepsakes.get(kept.id)
            async with transaction(Propagation.REQUIRES_NEW):
                await keepsakes.get(kept.id)

    await on_both()
    await on_both()
    await changed_type(container, elsewhere)
    with pytest.raises(StatementOutdated):
        await on_both()
    await on_both()


async def test_a_savepoint_ends_by_it_alone(
    container: Container, keepsakes: BaseDao[Keepsake], kept: Keepsake, elsewhere: asyncpg.Connection
) -> None:
    transaction = container.transaction()
    for _ in range(2):
        async with transaction():
            await keepsakes.get(kept.id)
    await deallocated(container, elsewhere)
    async with transaction() as tx:
        await tx.session.execute(text("SELECT 1"))
        with pytest.raises(StatementOutdated):
            async with transaction(Propagation.NESTED):
                await keepsakes.get(kept.id)
        assert (await keepsakes.get(kept.id)).words == "first"
        await keepsakes.add(Keepsake(words="outer"))
    assert await keepsakes.query().eq("words", "outer").exists()


async def test_a_caught_one_is_the_cause_of_the_rollback(
    container: Container, keepsakes: BaseDao[Keepsake], kept: Keepsake, elsewhere: asyncpg.Connection
) -> None:
    transaction = container.transaction()
    for _ in range(2):
        async with transaction():
            await keepsakes.get(kept.id)
    await changed_type(container, elsewhere)
    with pytest.raises(TransactionRolledBack) as raised:
        async with transaction():
            with suppress(StatementOutdated):
                await keepsakes.get(kept.id)
    assert isinstance(raised.value.__cause__, StatementOutdated)


async def test_other_errors_of_the_same_codes_stay_what_they_are(container: Container) -> None:
    async with container.transaction()(Propagation.NOT_SUPPORTED) as tx:
        for statement in ("CREATE INDEX x ON keepsakes USING hash (id, words)", "EXECUTE nothing_of_ours"):
            with pytest.raises(DriverError) as raised:
                await tx.session.execute(text(statement))
            assert type(raised.value) is DriverError
            assert raised.value.sqlstate in {"0A000", "26000"}

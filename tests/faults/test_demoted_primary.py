"""A primary that is demoted and keeps its sessions: one refused write, and the pool has left it; readiness says so."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Final

import httpx2
import pytest
from sqlalchemy import insert, text

from app.api import create_app
from containers import Container, running
from settings import Settings
from tests.app.api.problem_document import READINESS, assert_problem
from tests.faults.fixtures import Pair
from tests.faults.ledger import Entry, entries, metadata
from tests.faults.private_postgresql import PrivatePostgresql
from tests.faults.relay import Relay
from tests.patience import until
from unitwork import Database, DatabaseOptions, execute_transaction
from unitwork.connections.notification_listener import NotificationListener
from unitwork.dao import AdvisoryLocks, BaseDao
from unitwork.errors import DriverError, NotPrimary, ReadOnlyTransaction, TransactionRolledBack

POOL: Final = 3
COMES_WITHIN: Final = 20.0
"""Seconds."""
RELOADED: Final = "SELECT current_setting('default_transaction_read_only') = 'on'"


class EntryDao(BaseDao[Any]):
    """A DAO, for lone writes and COPY."""

    model = Entry


class Moving:
    """An address that leads to the primary, until `demote` makes it lead to the promoted standby."""

    def __init__(self, pair: Pair, relay: Relay) -> None:
        self.pair = pair
        self.relay = relay
        self.url = f"postgresql://postgres@127.0.0.1:{relay.port}/postgres"

    async def demote(self) -> None:
        """The primary takes no more writes and keeps its sessions; the standby takes over."""
        await read_only(self.pair.primary)
        await self.pair.standby.caught_up()
        await self.pair.standby.promote()
        await self.pair.standby.ask("ALTER SYSTEM SET default_transaction_read_only = off")
        await self.pair.standby.ask("SELECT pg_reload_conf()")
        self.relay.lead_to(self.pair.standby.port)


async def read_only(server: PrivatePostgresql, *, on: bool = True) -> None:
    await server.ask(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if on else 'off'}")
    await server.ask("SELECT pg_reload_conf()")

    async def reloaded() -> bool:
        return await server.ask(RELOADED) is on

    await until(reloaded, within=COMES_WITHIN)


@pytest.fixture
def moving(pair: Pair) -> Iterator[Moving]:
    with Relay("127.0.0.1", pair.primary.port) as relay:
        yield Moving(pair, relay)


@pytest.fixture
async def database(moving: Moving) -> AsyncIterator[Database]:
    """A pool whose connections were all used at the primary."""
    async with Database(DatabaseOptions(moving.url, pool_size=POOL, max_overflow=0)) as database:
        async with database.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
            await connection.execute(insert(entries).values(unit="there", part=1))
        open_ = [await database.engine.connect() for _ in range(POOL)]
        for connection in open_:
            await connection.exec_driver_sql("SELECT 1")
            await connection.close()
        yield database


async def in_a_transaction(database: Database) -> None:
    async with database.transaction() as transaction:
        await transaction.session.execute(insert(entries).values(unit="moved", part=1))


async def as_a_lone_write(database: Database) -> None:
    await EntryDao(database.sessions).update().eq("unit", "there").set(unit="moved").execute()


async def by_copy(database: Database) -> None:
    async with database.transaction():
        await EntryDao(database.sessions).add_many({"unit": "moved", "part": part} for part in range(200))


async def in_a_flush(database: Database) -> None:
    async with database.transaction() as transaction:
        transaction.session.add(Entry("moved", 1))


Write = Callable[[Database], Coroutine[Any, Any, None]]
every_write = pytest.mark.parametrize("write", [in_a_transaction, as_a_lone_write, by_copy, in_a_flush])


@every_write
async def test_one_refused_write_is_enough_to_leave(database: Database, moving: Moving, write: Write) -> None:
    await moving.demote()
    with pytest.raises(NotPrimary, match=f"127.0.0.1:{moving.relay.port}.*takes no writes") as told:
        await write(database)
    assert told.value.sqlstate == "25006"
    await asyncio.gather(*(in_a_transaction(database) for _ in range(2 * POOL)))
    assert await moving.pair.standby.ask("SELECT count(*) FROM ledger_entries WHERE unit = 'moved'") == 2 * POOL

    async def left() -> bool:
        return await moving.pair.primary.backends() == []

    await until(left, within=COMES_WITHIN)


async def test_with_retry_nobody_notices(database: Database, moving: Moving) -> None:
    async def callback(session: Any) -> int:
        session.add(Entry("moved", 1))
        return 7

    await moving.demote()
    assert await execute_transaction(database.transaction, callback, retry=3) == 7
    assert await moving.pair.standby.ask("SELECT count(*) FROM ledger_entries WHERE unit = 'moved'") == 1


async def test_a_caught_refusal_dooms_its_unit(database: Database, moving: Moving) -> None:
    await moving.demote()
    with pytest.raises(TransactionRolledBack) as told:
        async with database.transaction() as transaction:
            with pytest.raises(NotPrimary):
                await transaction.session.execute(insert(entries).values(unit="moved", part=1))
    assert isinstance(told.value.__cause__, NotPrimary)


async def test_a_lock_of_a_demoted_server_is_none(database: Database, moving: Moving) -> None:
    locks = AdvisoryLocks(database.sessions)
    await moving.demote()
    with pytest.raises(NotPrimary):
        async with database.transaction():
            await locks.acquire("the one that works")
    async with database.transaction():
        assert await locks.try_acquire("the one that works")


async def test_what_the_caller_made_read_only_is_no_demoted_server(database: Database, moving: Moving) -> None:
    before = await moving.pair.primary.backends()
    with pytest.raises(ReadOnlyTransaction):
        async with database.transaction(read_only=True) as transaction:
            await transaction.session.execute(text("INSERT INTO ledger_entries (unit, part) VALUES ('no', 1)"))
    with pytest.raises(DriverError) as told:
        async with database.transaction() as transaction:
            await transaction.session.execute(text("SET TRANSACTION READ ONLY"))
            await transaction.session.execute(insert(entries).values(unit="no", part=1))
    assert told.value.sqlstate == "25006"
    await in_a_transaction(database)
    assert sorted(await moving.pair.primary.backends()) == sorted(before), "no connection was dropped"


async def test_a_listener_goes_along(database: Database, moving: Moving) -> None:
    async with NotificationListener(lambda: database.engine).listening("moved") as notification:
        assert await notification.wait(COMES_WITHIN)
        await moving.demote()
        await asyncio.gather(*(in_a_transaction(database) for _ in range(2 * POOL)), return_exceptions=True)

        async def told() -> bool:
            notification.clear()
            await moving.pair.standby.ask("SELECT pg_notify('moved', '')")
            return await notification.wait(0.2)

        await until(told, within=COMES_WITHIN)


async def test_readiness_is_red_while_nothing_takes_writes_and_finds_the_new_primary(
    moving: Moving, tmp_path: Any
) -> None:
    section = {"url": moving.url, "pool_size": POOL}
    settings = Settings.model_validate({"database": section, "var_dir": tmp_path, "node_id": 4095})
    async with running(Container(settings=settings)) as container:
        await container.schema().upgrade()
        transport = httpx2.ASGITransport(create_app(container))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            assert (await client.get("/health/ready")).status_code == 200
            await read_only(moving.pair.primary)

            async def red() -> bool:
                return (await client.get("/health/ready")).status_code == 503

            await until(red, within=COMES_WITHIN)
            answer = await client.get("/health/ready")
            assert_problem(answer, 503, "database_read_only", facts=READINESS)
            assert answer.headers["retry-after"] == "1"
            await moving.demote()

            async def green() -> bool:
                return (await client.get("/health/ready")).status_code == 200

            await until(green, within=COMES_WITHIN)

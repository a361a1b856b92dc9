"""Migrations beside others: one at a time, never long in front of readers, and told who is in the way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from containers import Container, running
from settings import DatabaseSettings, Settings
from tests.patience import until
from unitwork import MigrationRun
from unitwork.connections.engine import build_engine
from unitwork.errors import MigrationBlocked, UpgradeInProgress
from unitwork.testing.servers import mariadb_server
from unitwork.testing.servers.databases import Databases

needs_mariadb = pytest.mark.skipif(not mariadb_server.named(), reason=f"{mariadb_server.MARIADB_URL} is unset")
MARIADB = pytest.param("mariadb", marks=needs_mariadb)
servers = pytest.mark.parametrize("backend", ["postgresql", MARIADB], indirect=True)

NOTES = "CREATE TABLE notes (id INTEGER PRIMARY KEY, label VARCHAR(20))"
ALTER = "ALTER TABLE notes ADD COLUMN more INTEGER"
Open = Callable[..., Awaitable[AsyncEngine]]


@pytest.fixture
async def empty_url(databases: Databases, backend: str) -> AsyncIterator[str]:
    """A database without a table."""
    url = await asyncio.to_thread(databases.create, backend, migrated=False)
    yield url
    await asyncio.to_thread(databases.drop, url)


@asynccontextmanager
async def opened(url: str, **options: object) -> AsyncIterator[tuple[AsyncEngine, MigrationRun]]:
    settings = DatabaseSettings.model_validate({"url": url, **options})
    engine = build_engine(settings)
    try:
        yield engine, MigrationRun(engine, settings)
    finally:
        await engine.dispose()


async def sent(engine: AsyncEngine, statement: str) -> object:
    async with engine.begin() as connection:
        result = await connection.execute(text(statement))
        return result.scalar() if result.returns_rows else None


def altering(connection: Connection) -> None:
    with connection.begin():
        connection.exec_driver_sql(ALTER)


@asynccontextmanager
async def reader(engine: AsyncEngine, isolation: str = "READ COMMITTED") -> AsyncIterator[None]:
    """A transaction that has read the table, and goes on."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level=isolation)
        await connection.execute(text("SELECT count(*) FROM notes"))
        yield


@pytest.mark.parametrize("backend", ["sqlite", "postgresql", MARIADB], indirect=True)
async def test_of_five_upgrades_one_works_and_four_find_nothing_to_do(empty_url: str) -> None:
    async with AsyncExitStack() as stack:
        settings = Settings(database={"url": empty_url, "pool_size": 1, "max_overflow": 0})
        schemas = [(await stack.enter_async_context(running(Container(settings=settings)))).schema() for _ in range(5)]
        await asyncio.gather(*(schema.upgrade() for schema in schemas))
        assert {await schema.current() for schema in schemas} == {schemas[0].head}
        assert await schemas[0].differences() == []


@servers
@pytest.mark.parametrize("pooler", ["none", "pgbouncer"])
async def test_who_waits_too_long_for_another_upgrade_is_told_of_it(empty_url: str, backend: str, pooler: str) -> None:
    async with (
        opened(empty_url, pooler=pooler) as (_, first),
        opened(empty_url, pooler=pooler, migration_wait=0.1) as (_, second),
    ):
        entered, leave = asyncio.Event(), asyncio.Event()

        def slow(connection: Connection) -> str:
            entered.set()
            connection.exec_driver_sql("SELECT pg_sleep(2)" if backend == "postgresql" else "SELECT SLEEP(2)")
            return "done"

        migrating = asyncio.create_task(first.run(slow))
        await entered.wait()
        with pytest.raises(UpgradeInProgress, match=r"another upgrade .* is running: .*`migration_wait`") as caught:
            await second.run(altering)
        assert caught.value.holder
        leave.set()
        assert await migrating == "done"
        assert await second.run(lambda _: "free again") == "free again"


@servers
async def test_a_reader_is_waited_for_without_stopping_others(empty_url: str) -> None:
    async with opened(empty_url, statement_timeout=20) as (engine, migration):
        await sent(engine, NOTES)
        async with reader(engine):
            migrating = asyncio.create_task(migration.run(altering))
            for _ in range(10):  # each would wait for the first reader's end behind a request that doesn't give up
                async with asyncio.timeout(10):
                    assert await sent(engine, "SELECT count(*) FROM notes") == 0
                await asyncio.sleep(0.2)
            assert not migrating.done()
        await migrating
        assert await sent(engine, "SELECT count(more) FROM notes") == 0


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_migration_that_gets_no_lock_is_undone_and_names_who_has_it(empty_url: str) -> None:
    def two_steps(connection: Connection) -> None:
        with connection.begin():
            connection.exec_driver_sql("CREATE TABLE others (id INTEGER)")
            connection.exec_driver_sql(ALTER)

    async with opened(empty_url, migration_wait=3) as (engine, migration):
        await sent(engine, NOTES)
        async with reader(engine):
            with pytest.raises(MigrationBlocked, match=r"in use by server process \d+ \(gatehouse.*in \d+ attempts"):
                await migration.run(two_steps)
        assert await sent(engine, "SELECT to_regclass('others')") is None


@needs_mariadb
@pytest.mark.parametrize("backend", ["mariadb"], indirect=True)
async def test_on_mariadb_the_statement_alone_is_sent_again(empty_url: str) -> None:
    def two_steps(connection: Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE others (id INTEGER)")
        connection.exec_driver_sql(ALTER)

    async with opened(empty_url, migration_wait=0.5) as (engine, migration):
        await sent(engine, NOTES)
        async with reader(engine):
            with pytest.raises(MigrationBlocked, match="statements before it are in force"):
                await migration.run(two_steps)
        assert await sent(engine, "SELECT count(*) FROM others") == 0


@servers
async def test_limits_of_the_service_are_none_of_a_migration(empty_url: str, backend: str) -> None:
    slow = "SELECT pg_sleep(0.5)" if backend == "postgresql" else "SELECT SLEEP(0.5)"
    names = {
        "postgresql": "SELECT current_setting('statement_timeout')",
        "mariadb": "SELECT @@max_statement_time",
    }

    def limit(connection: Connection) -> str:
        with connection.begin():
            connection.exec_driver_sql(slow)
            return str(connection.exec_driver_sql(names[backend]).scalar())

    async with opened(empty_url, statement_timeout=0.2) as (engine, migration):
        assert float(await migration.run(limit)) == 0
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # a QueuePool
    async with opened(empty_url, migration_statement_timeout=7) as (_, migration):
        assert (await migration.run(limit)).startswith("7")


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_an_index_is_made_concurrently_while_others_wait_for_the_lock(empty_url: str) -> None:
    """A waiting statement would have a snapshot, and the index would wait for that."""

    def concurrently(connection: Connection) -> None:
        apart = connection.execution_options(isolation_level="AUTOCOMMIT")
        apart.exec_driver_sql("CREATE INDEX CONCURRENTLY ix_notes_label ON notes (label)")

    async with opened(empty_url, statement_timeout=20) as (engine, first), opened(empty_url) as (_, second):
        await sent(engine, NOTES)
        async with reader(engine, "REPEATABLE READ"):  # its snapshot is as old as the transaction
            migrating = asyncio.create_task(first.run(concurrently))
            await until(lambda: _building(engine), within=20)
            waiting = asyncio.create_task(second.run(altering))
            await asyncio.sleep(1)
        await migrating
        await waiting
        assert await sent(engine, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_notes_label'::regclass")


async def _building(engine: AsyncEngine) -> bool:
    return bool(await sent(engine, "SELECT count(*) FROM pg_stat_progress_create_index"))


@servers
async def test_a_migration_that_is_cancelled_gives_up_its_lock(empty_url: str, backend: str) -> None:
    entered = asyncio.Event()

    def endless(connection: Connection) -> None:
        entered.set()
        connection.exec_driver_sql("SELECT pg_sleep(60)" if backend == "postgresql" else "SELECT SLEEP(60)")

    async with opened(empty_url) as (_, first), opened(empty_url, migration_wait=20) as (_, second):
        migrating = asyncio.create_task(first.run(endless))
        await entered.wait()
        await asyncio.sleep(0.2)
        migrating.cancel()
        with suppress(asyncio.CancelledError):
            await migrating
        assert await second.run(lambda _: "free") == "free"

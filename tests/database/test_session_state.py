"""What one unit leaves on its connection, by text, never reaches the next; and no text ends a block's transaction."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container, running
from settings import Settings
from tests.database.tables import create_tables, stored, write
from unitwork import Outcome, Propagation
from unitwork.connections.pool import READY_VALID_SECONDS
from unitwork.errors import CommitOutcomeUnknown, TransactionIsOurs

Block = Callable[[Container], AbstractAsyncContextManager[AsyncSession]]


def _transaction(*mode: Propagation, **options: Any) -> Block:
    @asynccontextmanager
    async def block(container: Container) -> AsyncIterator[AsyncSession]:
        async with container.transaction()(*mode, **options) as tx:
            yield tx.session

    return block


@asynccontextmanager
async def _nested(container: Container) -> AsyncIterator[AsyncSession]:
    async with container.transaction()(), container.transaction()(Propagation.NESTED) as tx:
        yield tx.session


BLOCKS: dict[str, Block] = {
    "transaction": _transaction(),
    "read only": _transaction(read_only=True),
    "nested": _nested,
    "supports": _transaction(Propagation.SUPPORTS),
    "never": _transaction(Propagation.NEVER),
    "session provider": lambda container: container.session_provider()(),
    "reading session provider": lambda container: container.session_provider()(read_only=True),
}
CONTROL = ["BEGIN", "START TRANSACTION", "COMMIT", "/* now */ commit", "ROLLBACK", "SAVEPOINT a", "RELEASE SAVEPOINT a"]


@pytest.fixture
async def one_connection(settings: Settings) -> AsyncIterator[Container]:
    """A container whose pool has one connection, so that each unit gets what the last one left."""
    database = settings.database.model_copy(update={"pool_size": 1, "max_overflow": 0})
    async with running(Container(settings=settings.model_copy(update={"database": database}))) as container:
        await create_tables(container)
        yield container


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS.keys())
async def test_transaction_control_as_text_is_refused_in_every_block(one_connection: Container, block: Block) -> None:
    for statement in CONTROL:
        with pytest.raises(TransactionIsOurs):
            async with block(one_connection) as session:
                await session.execute(text("SELECT 1"))
                await session.execute(text(statement))
        with pytest.raises(TransactionIsOurs):
            async with block(one_connection) as session:
                await (await session.connection()).exec_driver_sql(statement)
    async with one_connection.transaction()() as tx:
        await write(tx.session, "after all of them")
    assert await stored(one_connection) == {"after all of them"}


async def test_a_savepoint_as_text_names_what_to_use(one_connection: Container) -> None:
    with pytest.raises(TransactionIsOurs, match="begin_nested"):
        async with one_connection.transaction()() as tx:
            await tx.session.execute(text("SAVEPOINT mine"))


POSTGRESQL = {
    "SET ROLE pg_monitor": "SELECT current_user = session_user",
    "SET search_path TO pg_catalog": "SELECT current_setting('search_path') <> 'pg_catalog'",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY": (
        "SELECT current_setting('default_transaction_read_only') = 'off'"
    ),
    "SELECT set_config('statement_timeout', '7777', false)": "SELECT current_setting('statement_timeout') <> '7777ms'",
    "SELECT pg_advisory_lock(4711)": "SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711",
    "CREATE TEMPORARY TABLE mine (id int)": "SELECT to_regclass('pg_temp.mine') IS NULL",
    "SELECT 1 AS id INTO TEMP mine": "SELECT to_regclass('pg_temp.mine') IS NULL",
    "LISTEN news": "SELECT count(*) = 0 FROM pg_listening_channels()",
    "DO $$ BEGIN PERFORM set_config('work_mem', '1MB', false); END $$": "SELECT current_setting('work_mem') <> '1MB'",
}
SQLITE = {
    "PRAGMA cache_size = 77": "SELECT cache_size <> 77 FROM pragma_cache_size",
    "CREATE TEMP TABLE mine (id int)": "SELECT count(*) = 0 FROM temp.sqlite_master",
}
MARIADB = {
    "SET SESSION sql_mode = ''": "SELECT @@sql_mode <> ''",
    "SET @mine = 1": "SELECT @mine IS NULL",
    "SELECT GET_LOCK('mine', 1)": "SELECT IS_FREE_LOCK('mine')",
}
WRITES = ("transaction", "supports", "session provider")


@pytest.mark.parametrize("block", [BLOCKS[name] for name in WRITES], ids=WRITES)
async def test_what_a_session_sets_as_text_never_reaches_the_next(
    one_connection: Container, backend: str, block: Block
) -> None:
    for statement, nothing_left in {"postgresql": POSTGRESQL, "sqlite": SQLITE, "mariadb": MARIADB}[backend].items():
        async with block(one_connection) as session:
            await session.execute(text(statement))
            if not statement.startswith("LISTEN"):  # which begins with the commit
                assert not await session.scalar(text(nothing_left)), f"{statement} did nothing"
        async with block(one_connection) as session:
            assert await session.scalar(text(nothing_left)), f"{statement} is left"


async def test_what_was_set_in_a_block_that_fails_is_undone_too(one_connection: Container, backend: str) -> None:
    for statement, nothing_left in {"postgresql": POSTGRESQL, "sqlite": SQLITE, "mariadb": MARIADB}[backend].items():
        with pytest.raises(LookupError):
            async with one_connection.transaction()() as tx:
                await tx.session.execute(text(statement))
                raise LookupError
        async with one_connection.transaction()() as tx:
            assert await tx.session.scalar(text(nothing_left)), f"{statement} is left"


async def test_a_connection_is_reset_and_kept_and_one_with_prepared_statements_is_replaced(
    one_connection: Container, backend: str
) -> None:
    if backend != "postgresql":
        return
    pids = []
    for statement in ("SELECT 1", "SET ROLE pg_monitor", "PREPARE mine AS SELECT 1", "SELECT 1"):
        async with one_connection.transaction()() as tx:
            pids.append(await tx.session.scalar(text("SELECT pg_backend_pid()")))
            await tx.session.execute(text(statement))
    assert pids[0] == pids[1] == pids[2] != pids[3]


async def test_an_open_transaction_on_a_returned_connection_is_dropped_with_a_warning(
    one_connection: Container, backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Begun past everybody, on the driver's own connection. SQLAlchemy rolls SQLite's and MariaDB's back itself."""
    with caplog.at_level(logging.WARNING, logger="unitwork.database"):
        async with one_connection.transaction()(Propagation.SUPPORTS) as tx:
            connection = await tx.session.connection()
            raw: Any = (await connection.get_raw_connection()).driver_connection
            await (raw.query("BEGIN") if hasattr(raw, "query") else raw.execute("BEGIN"))
        async with one_connection.transaction()() as tx:
            await write(tx.session, "stored")
    assert await stored(one_connection) == {"stored"}
    if backend != "postgresql":
        return
    warned = [
        record.getMessage() for record in caplog.records if "transaction or a statement open" in record.getMessage()
    ]
    assert len(warned) == 1
    assert __file__ in warned[0]


async def test_a_transaction_that_the_driver_ended_is_no_committed_one(one_connection: Container, backend: str) -> None:
    if backend == "mariadb":
        return  # any statement that makes a table commits there: its end is no sign of misuse
    with pytest.raises(CommitOutcomeUnknown):
        async with one_connection.transaction()() as tx:
            await write(tx.session, "thrown away")
            raw: Any = (await (await tx.session.connection()).get_raw_connection()).driver_connection
            await raw.execute("ROLLBACK")
    assert tx.outcome is Outcome.UNKNOWN
    assert await stored(one_connection) == set()


async def test_a_look_that_nobody_took_the_connection_after_is_not_trusted_later(
    one_connection: Container, backend: str
) -> None:
    if backend != "postgresql":
        return  # only there a connection is looked at before it is taken
    async with one_connection.transaction()() as tx:
        raw: Any = (await (await tx.session.connection()).get_raw_connection()).driver_connection
        await tx.session.execute(text("SELECT 1"))
    pool: Any = one_connection.engine().pool
    assert pool.ready()
    await asyncio.sleep(2 * READY_VALID_SECONDS)
    await raw.execute("BEGIN")  # past everybody, while it idles
    async with one_connection.transaction()() as tx:
        await write(tx.session, "stored")
    assert await stored(one_connection) == {"stored"}

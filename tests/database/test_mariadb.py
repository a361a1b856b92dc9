"""MariaDB: what its connections are opened with, and where it needs more than the others to behave as they do."""

import asyncio
import logging
import time

import pytest
from sqlalchemy import text

from app.testing import isolated
from containers import Container, running
from domain import User
from settings import Settings
from tests.database.tables import stored, write
from tests.patience import until
from unitwork import Propagation, TransactionProvider
from unitwork.errors import (
    ConnectionLost,
    DeadlockDetected,
    DriverError,
    LockNotAvailable,
    NotPrimary,
    ReadOnlyTransaction,
    SchemaOutdated,
    StatementTimeout,
)
from unitwork.models import SYSTEM, acting_as
from unitwork.testing import NeedsOwnDatabase
from unitwork.testing.servers import mariadb_server
from unitwork.testing.servers.databases import Databases

pytestmark = [
    pytest.mark.skipif(not mariadb_server.named(), reason=f"{mariadb_server.MARIADB_URL} is unset"),
    pytest.mark.parametrize("backend", ["mariadb"], indirect=True),
]
CANARY = "canary-7Q"


async def told(container: Container, statement: str) -> object:
    async with container.session_provider()(read_only=True) as session:
        return await session.scalar(text(statement))


async def at_work(container: Container, statement: str) -> bool:
    """Whether the server has a connection at work on this statement."""
    asked = f"SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '{statement}%'"
    return await told(container, asked) != 0


async def test_a_connection_is_strict_and_in_utc_and_reads_what_is_committed(container: Container) -> None:
    assert await told(container, "SELECT @@time_zone") == "+00:00"
    assert "STRICT_ALL_TABLES" in str(await told(container, "SELECT @@sql_mode"))
    assert await told(container, "SELECT @@tx_isolation") == "READ-COMMITTED"
    assert await told(container, "SELECT @@character_set_connection") == "utf8mb4"
    assert await told(container, "SELECT @@autocommit") == 1
    assert await told(container, "SELECT @@max_statement_time") == 30


async def test_a_url_makes_reads_wait_for_what_a_galera_cluster_has_committed(database_url: str) -> None:
    url = f"{database_url}?init_command=SET%20SESSION%20wsrep_sync_wait%3D1"
    async with running(Container(settings=Settings(database={"url": url}, node_id=1))) as container:
        assert await told(container, "SELECT @@wsrep_sync_wait") == 1
        assert await told(container, "SELECT @@time_zone") == "+00:00"


@pytest.mark.parametrize(
    ("state", "number", "words", "told_as"),
    [
        ("HY000", 1290, "The MariaDB server is running with the --read-only option so it cannot execute this", "25006"),
        ("25006", 1792, "Cannot execute statement in a READ ONLY transaction", "25006"),
        ("HY000", 1836, "Running in read-only mode", "25006"),
        ("08S01", 1047, "WSREP has not yet prepared node for application use", "08S01"),
    ],
)
async def test_a_server_that_takes_no_writes_is_left(
    container: Container, state: str, number: int, words: str, told_as: str
) -> None:
    signal = f"SIGNAL SQLSTATE '{state}' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = '{words}'"
    before = await told(container, "SELECT connection_id()")
    with pytest.raises(NotPrimary) as refused:
        async with container.transaction()() as transaction:
            await transaction.session.execute(text(signal))
    assert refused.value.sqlstate == told_as
    assert await told(container, "SELECT connection_id()") != before


async def test_what_another_option_forbids_is_the_statements_fault(container: Container) -> None:
    words = "The MariaDB server is running with the --secure-file-priv option so it cannot execute this statement"
    with pytest.raises(DriverError):
        async with container.transaction()() as transaction:
            signal = f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1290, MESSAGE_TEXT = '{words}'"
            await transaction.session.execute(text(signal))


async def test_two_keys_are_equal_only_when_they_are_the_same(container: Container) -> None:
    """MariaDB's own collations take case, accents and blanks at the end for nothing."""
    keys = ["straße", "strasse", "strasse ", "Strasse", "stras\u0301se", "strasse\U0001f600"]
    with acting_as(SYSTEM):
        await container.user_dao().add_many([User(email=key, email_key=key) for key in keys])
    for key in keys:
        assert await container.user_dao().query().eq("email_key", key).scalars("email_key") == [key]
    assert await container.user_dao().query().startswith("email_key", "S").scalars("email_key") == ["Strasse"]


async def test_the_models_are_what_the_migrations_made(databases: Databases, backend: str) -> None:
    url = await asyncio.to_thread(databases.create, backend, migrated=False)
    async with running(Container(settings=Settings(database={"url": url}))) as empty:
        with pytest.raises(SchemaOutdated, match="alembic upgrade head"):
            await empty.user_dao().get(1)
        await empty.schema().upgrade()
        assert await empty.schema().current() == empty.schema().head
        assert await empty.schema().differences() == []
        await empty.schema().downgrade("base")
        assert await empty.schema().current() is None
    await asyncio.to_thread(databases.drop, url)


async def test_a_lone_statement_is_one_trip_and_a_transaction_three(
    with_tables: Container, transaction: TransactionProvider
) -> None:
    async def questions() -> int:
        async with with_tables.session_provider()(read_only=True) as session:
            return int((await session.execute(text("SHOW SESSION STATUS LIKE 'Questions'"))).one()[1])

    async def lone() -> None:
        await with_tables.user_dao().query().eq("id", 1).all()

    async def whole() -> None:
        async with transaction() as tx:
            await write(tx.session, "kept")

    before = await questions()
    asking = await questions() - before
    for work, trips in ((lone, 1), (whole, 3)):
        before = await questions()
        await work()
        assert await questions() - before - asking == trips


async def test_a_statement_that_is_given_up_ends_on_the_server_too(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    async def unit() -> None:
        async with transaction() as tx:
            await write(tx.session, "locked")
            await tx.session.execute(text("SELECT SLEEP(20)"))

    task = asyncio.create_task(unit())
    await until(lambda: at_work(with_tables, "SELECT SLEEP"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert with_tables.schema().connections_in_use == 0
    begun = time.monotonic()
    async with transaction(timeout=5) as tx:
        await write(tx.session, "locked")
    assert time.monotonic() - begun < 5, "its locks are gone with it"
    assert not await at_work(with_tables, "SELECT SLEEP")
    assert await stored(with_tables) == {"locked"}


async def test_a_statement_that_runs_too_long_is_ended_by_the_server(database_url: str) -> None:
    settings = Settings(database={"url": database_url, "statement_timeout": 0.1})
    async with running(Container(settings=settings)) as container:
        with pytest.raises(StatementTimeout) as raised:
            await told(container, "SELECT MAX(a.seq + b.seq) FROM seq_1_to_99999 a, seq_1_to_99999 b")
        assert raised.value.sqlstate == "70100"
        async with container.transaction()(timeout=0.05, read_only=True):
            pass
        assert await told(container, "SELECT @@max_statement_time") == pytest.approx(0.1)


async def test_a_lock_that_is_not_free_is_told(transaction: TransactionProvider) -> None:
    async with transaction() as tx:
        await write(tx.session, "held")
        with pytest.raises(LockNotAvailable) as raised:
            async with transaction(Propagation.REQUIRES_NEW) as other:
                await other.session.execute(text("SELECT * FROM notes FOR UPDATE NOWAIT"))
        assert raised.value.sqlstate == "HY000"


async def test_transactions_that_wait_for_each_other_end_by_one_of_them(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    async with transaction() as tx:
        await write(tx.session, "a")
        await write(tx.session, "b")
    both = asyncio.Barrier(2)

    async def lock(first: str, second: str) -> None:
        async with transaction() as tx:
            await tx.session.execute(text("SELECT * FROM notes WHERE text = :text FOR UPDATE"), {"text": first})
            await both.wait()
            await tx.session.execute(text("SELECT * FROM notes WHERE text = :text FOR UPDATE"), {"text": second})

    outcomes = await asyncio.gather(lock("a", "b"), lock("b", "a"), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["DeadlockDetected", "NoneType"]
    assert [outcome.sqlstate for outcome in outcomes if isinstance(outcome, DeadlockDetected)] == ["40001"]


async def test_a_transaction_that_reads_only_refuses_text_and_locks(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    for statement in ("INSERT INTO notes (text) VALUES ('no')", "SELECT * FROM notes FOR UPDATE"):
        with pytest.raises(ReadOnlyTransaction):
            async with transaction(read_only=True) as tx:
                await tx.session.execute(text(statement))
        with pytest.raises(ReadOnlyTransaction):
            async with transaction(Propagation.NOT_SUPPORTED, read_only=True) as tx:
                await tx.session.execute(text(statement))
    async with transaction(Propagation.NOT_SUPPORTED) as tx:
        await write(tx.session, "writes again")
    assert await stored(with_tables) == {"writes again"}


async def test_an_isolation_level_holds_for_its_transaction_alone(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    async with transaction(isolation="REPEATABLE READ") as tx:
        assert (await tx.session.scalars(text("SELECT text FROM notes"))).all() == []
        async with transaction(Propagation.REQUIRES_NEW) as other:
            await write(other.session, "later")
        assert (await tx.session.scalars(text("SELECT text FROM notes"))).all() == []
    async with transaction() as tx:
        assert (await tx.session.scalars(text("SELECT text FROM notes"))).all() == ["later"]


async def test_a_connection_that_is_killed_is_lost_and_replaced(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    with pytest.raises(ConnectionLost):
        async with transaction() as tx:
            await write(tx.session, "lost")
            thread = await tx.session.scalar(text("SELECT CONNECTION_ID()"))
            async with transaction(Propagation.REQUIRES_NEW) as other:
                await other.session.execute(text(f"KILL {thread}"))
            await tx.session.execute(text("SELECT 1"))
    assert await stored(with_tables) == set()


async def test_no_value_is_told_by_an_error_or_a_warning_of_the_server(
    container: Container, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("asyncmy").setLevel(logging.ERROR)
    async with container.session_provider()() as session:
        await session.execute(text("SELECT CAST(:value AS INTEGER)"), {"value": CANARY})
    for statement in (
        "SELECT :value nonsense nonsense",
        f"SELECT '{CANARY}' FROM",
        "SELECT COLUMN_GET(:value, 1 AS INT)",
    ):
        with pytest.raises(DriverError) as raised:
            async with container.session_provider()() as session:
                await session.execute(text(statement), {"value": CANARY} if ":value" in statement else {})
        assert CANARY not in str(raised.value) + repr(raised.value.__cause__)
    assert CANARY not in caplog.text


async def test_a_table_can_not_be_made_in_an_isolated_test(settings: Settings) -> None:
    """MariaDB commits before it makes one, and with it whatever the test has written."""
    async with isolated(Container(settings=settings)) as container:
        for statement in ("CREATE TABLE things (id INT)", "/* x */ truncate notes", "set autocommit = 0", "COMMIT"):
            with pytest.raises(NeedsOwnDatabase):
                async with container.engine().connect() as connection:
                    await connection.exec_driver_sql(statement)


def test_a_database_is_used_again_when_only_its_rows_were_changed(databases: Databases, backend: str) -> None:
    first = databases.create(backend)
    name = first.rsplit("/", 1)[1]
    values = "1, 'a', 'a', 'user', 'active', 1, NOW(), 0, NOW(), 0"
    columns = "id, email, email_key, role, status, version, created_at, created_by, updated_at, updated_by"
    filled = f"INSERT INTO `{name}`.users ({columns}) VALUES ({values})"
    view = f"CREATE VIEW `{name}`.seen AS SELECT id FROM `{name}`.users"
    mariadb_server._run([filled, f"CREATE TABLE `{name}`.things (id INT)", view])
    databases.drop(first)
    again = databases.create(backend)
    assert again == first
    assert mariadb_server._asked(f"SELECT COUNT(*) FROM `{name}`.users") == [(0,)]
    assert "things" not in mariadb_server._tables(name)
    assert mariadb_server._views(name, name).keys() == {"schema_revision"}
    mariadb_server._run([f"ALTER TABLE `{name}`.users ADD COLUMN odd INT"])
    databases.drop(again)
    assert name not in mariadb_server.databases_of(name)


def test_views_are_copied_with_the_tables_they_read(databases: Databases, backend: str) -> None:
    url = databases.create(backend)
    name = url.rsplit("/", 1)[1]
    copy = f"{name}_copy"
    mariadb_server._run(
        [
            f"CREATE VIEW `{name}`.b_seen AS SELECT id, email FROM `{name}`.users",
            f"CREATE VIEW `{name}`.a_seen AS SELECT email FROM `{name}`.b_seen",
        ]
    )
    try:
        mariadb_server.create(copy, name)
        assert mariadb_server._views(copy, copy).keys() == {"a_seen", "b_seen", "schema_revision"}
        assert mariadb_server._asked(f"SELECT COUNT(*) FROM `{copy}`.a_seen") == [(0,)]
        assert name not in "".join(mariadb_server._views(copy, copy).values()).replace(copy, "")
        assert mariadb_server.restore(copy, name)
        mariadb_server._run([f"CREATE OR REPLACE VIEW `{copy}`.a_seen AS SELECT 1 AS email"])
        assert not mariadb_server.restore(copy, name)
    finally:
        mariadb_server.drop(copy)
        databases.drop(url)

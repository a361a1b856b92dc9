"""One transaction for the whole test: what its code may do, what needs a database of its own, and that it is gone."""

import asyncio
import sqlite3
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import text

from app.testing import isolated
from containers import Container, running
from settings import Settings
from tests.testing.tables import SLEEP, backend_of, create_tables, stored, write
from unitwork import Propagation
from unitwork.errors import ContainerClosed, DatabaseError, NotPrimary, TransactionIsOurs
from unitwork.models import SYSTEM, acting_as
from unitwork.testing import NeedsOwnDatabase
from unitwork.testing.isolation import pool
from unitwork.testing.servers.databases import Databases

only_postgresql = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
only_sqlite = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture
async def with_tables(container: Container) -> Container:
    await create_tables(container)
    return container


async def note(container: Container, value: str) -> None:
    async with container.transaction()() as tx:
        await write(tx.session, value)


async def test_it_works_without_fixtures_and_ends_the_container(settings: Settings) -> None:
    async with isolated(Container(settings=settings)) as container:
        await create_tables(container)
        await note(container, "a")
        assert await stored(container) == ["a"]
    with pytest.raises(ContainerClosed):
        container.engine()
    async with isolated(Container(settings=settings)) as container:
        await create_tables(container)
        assert await stored(container) == []


@pytest.mark.database("own")
async def test_inside_a_running_container_it_is_a_block(container: Container) -> None:
    await create_tables(container)
    await note(container, "a")
    async with isolated(container):
        await note(container, "b")
        assert await stored(container) == ["a", "b"]
    assert await stored(container) == ["a"]


async def test_a_connection_still_in_use_at_the_end_is_closed(settings: Settings) -> None:
    async with isolated(Container(settings=settings)) as container:
        await create_tables(container)
        connection = await container.engine().connect()
        await write(connection, "a")
    async with isolated(Container(settings=settings)) as container:
        await create_tables(container)
        await note(container, "a")
    with suppress(DatabaseError):
        await connection.close()


async def test_tasks_that_are_cancelled_anywhere_leave_all_or_nothing(with_tables: Container) -> None:
    async def pair(name: str) -> None:
        async with with_tables.transaction()() as tx:
            await write(tx.session, f"{name} a")
            await write(tx.session, f"{name} b")

    done: list[str] = []
    for number in range(120):
        task = asyncio.create_task(pair(str(number)))
        # Up to a little longer than a whole unit takes: some are done by then.
        for _ in range(number):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled():
            done.append(str(number))
    there = await stored(with_tables)
    first, second = ({name.split()[0] for name in there if name.endswith(which)} for which in "ab")
    assert first == second >= set(done)
    await note(with_tables, "still working")
    assert with_tables.schema().connections_in_use == 0


async def test_a_lone_statement_that_is_cancelled_stores_nothing(with_tables: Container) -> None:
    async def alone() -> None:
        async with with_tables.transaction()(Propagation.NOT_SUPPORTED) as tx:
            await write(tx.session, "a")
            await tx.session.execute(SLEEP[backend_of(with_tables)])

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await alone()
    await note(with_tables, "b")
    assert await stored(with_tables) == ["a", "b"]


@pytest.mark.parametrize("statement", ["COMMIT", "  rollback", "/**/ END", "BEGIN", "start transaction"])
@only_postgresql
async def test_a_statement_that_would_end_the_outer_transaction_is_refused(
    with_tables: Container, statement: str
) -> None:
    await note(with_tables, "a")
    async with with_tables.engine().connect() as connection:
        with pytest.raises(NeedsOwnDatabase, match="was sent as a statement"):
            await connection.exec_driver_sql(statement)
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        with pytest.raises(NeedsOwnDatabase, match="was sent as a statement"):
            await driver.execute(statement)
    assert await stored(with_tables) == ["a"]


@only_sqlite
async def test_statements_that_begin_and_end_transactions_are_virtual(with_tables: Container) -> None:
    async with with_tables.transaction()(Propagation.NOT_SUPPORTED) as tx:
        with pytest.raises(TransactionIsOurs):
            await tx.session.execute(text("BEGIN"))
        driver: Any = (await (await tx.session.connection()).get_raw_connection()).driver_connection
        cursor = await driver.cursor()
        for statement in ("BEGIN", "INSERT INTO notes (text) VALUES ('a')", "COMMIT"):
            await cursor.execute(statement)
        for statement in ("BEGIN IMMEDIATE", "INSERT INTO notes (text) VALUES ('b')", "ROLLBACK"):
            await cursor.execute(statement)
        await cursor.execute("BEGIN")
        with pytest.raises(sqlite3.OperationalError, match="cannot start a transaction within a transaction"):
            await cursor.execute("BEGIN")
    assert await stored(with_tables) == ["a"]


async def test_a_statement_that_refuses_transactions_needs_its_own(with_tables: Container) -> None:
    async with with_tables.transaction()(Propagation.NOT_SUPPORTED) as tx:
        with pytest.raises(NeedsOwnDatabase, match="can't run inside a transaction"):
            await tx.session.execute(text("VACUUM"))
    await note(with_tables, "a")


async def test_a_second_connection_of_the_same_task_is_refused_at_once(with_tables: Container) -> None:
    async with with_tables.engine().connect() as connection:
        await write(connection, "a")
        with pytest.raises(NeedsOwnDatabase) as raised:
            await stored(with_tables)
    first = test_a_second_connection_of_the_same_task_is_refused_at_once.__code__.co_firstlineno + 1
    assert f"while the one taken at {__file__}:{first} is in use" in raised.value.what
    assert raised.value.call_site.rsplit(":", 1)[0].endswith("tests/testing/tables.py")


async def test_a_wait_for_another_task_ends(with_tables: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "TURN_TIMEOUT_SECONDS", 0.2)
    inside, enough = asyncio.Event(), asyncio.Event()

    async def holder() -> None:
        async with with_tables.transaction()() as tx:
            await write(tx.session, "a")
            inside.set()
            await enough.wait()

    task = asyncio.create_task(holder())
    await inside.wait()
    with pytest.raises(NeedsOwnDatabase, match=r"was not given back within 0\.2 s"):
        await note(with_tables, "b")
    enough.set()
    await task
    assert await stored(with_tables) == ["a"]


async def test_turns_are_fair(with_tables: Container) -> None:
    """Who has just had the connection gets it again after those who wait."""
    order: list[str] = []

    async def work(name: str) -> None:
        for _ in range(3):
            async with with_tables.engine().begin():
                order.append(name)
                await asyncio.sleep(0)

    await asyncio.gather(work("a"), work("b"), work("c"))
    assert order == ["a", "b", "c"] * 3


@only_sqlite
async def test_a_file_that_somebody_else_writes_to_is_not_waited_for_for_ever(
    container: Container, databases: Databases
) -> None:
    await container.user_dao().count().rows()
    url = str(container.settings().database.url)
    waiting = Container(settings=Settings(database={"url": url, "statement_timeout": 0.1}))
    async with isolated(waiting):
        with pytest.raises(NeedsOwnDatabase, match="the file's one writer is somebody else"):
            await waiting.user_dao().count().rows()


async def test_what_follows_a_lost_connection_needs_its_own(with_tables: Container) -> None:
    await note(with_tables, "a")
    async with with_tables.engine().connect() as connection:
        await connection.invalidate()
    with pytest.raises(NeedsOwnDatabase, match="the connection was lost"):
        await stored(with_tables)


@only_sqlite
async def test_what_follows_an_interrupted_write_needs_its_own(with_tables: Container) -> None:
    """SQLite rolls the whole transaction back by itself."""
    numbers = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), with_tables.transaction()() as tx:
            await tx.session.execute(text(f"INSERT INTO marks (id) {numbers}"))
    with pytest.raises(NeedsOwnDatabase, match="SQLite gave up the whole transaction"):
        await stored(with_tables)


@only_postgresql
async def test_nobody_else_writes_to_the_database_that_isolated_tests_share(settings: Settings) -> None:
    async with running(Container(settings=settings)) as container:
        assert await container.user_dao().count().rows() == 0
        with pytest.raises(NotPrimary, match="in a read-only transaction"):
            await create_tables(container)


@only_sqlite
async def test_a_file_that_somebody_wrote_to_is_not_shared_any_more(settings: Settings, databases: Databases) -> None:
    assert databases.shared("sqlite") == databases.shared("sqlite")
    before = databases.shared("sqlite")
    async with running(Container(settings=settings)) as container:
        await create_tables(container)
    assert databases.shared("sqlite") != before


async def test_ids_are_of_a_drawn_node_and_no_lease_is_stored(container: Container) -> None:
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "ann@example.com"})
    assert user.id >> 10 & 0xFFF == container.id_generator().node_id
    async with container.session_provider()(read_only=True) as session:
        assert (await session.execute(text("SELECT count(*) FROM node_leases"))).scalar_one() == 0

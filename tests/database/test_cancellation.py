"""A cancellation waits for the statement under way, for a moment; the connection stays in use."""

import asyncio
import time
from collections.abc import AsyncIterator

import anyio
import pytest
from sqlalchemy import text

from containers import Container, running
from settings import Settings
from tests.database.tables import create_tables, stored, write
from tests.database.test_joining import LONG_QUERY
from unitwork import Outcome, Propagation, TransactionProvider
from unitwork.errors import TransactionRolledBack

SHORT_QUERY = {
    "postgresql": "SELECT pg_sleep(0.1)",
    "mariadb": "SELECT SLEEP(0.1)",
    "sqlite": "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 200000) SELECT max(n) FROM c",
}


@pytest.fixture
async def patient(settings: Settings) -> AsyncIterator[Container]:
    """Its grace is longer than a short query takes on any machine."""
    database = settings.database.model_copy(update={"cancel_grace": 5.0})
    async with running(Container(settings=settings.model_copy(update={"database": database}))) as container:
        await create_tables(container)
        yield container


async def driver_of(container: Container) -> object:
    async with container.session_provider()(read_only=True) as session:
        connection = await session.connection()
        raw = await connection.get_raw_connection()
        return raw.driver_connection


# Of a cancelled stream asyncmy reads the rest at the next command, and warns of it.
@pytest.mark.filterwarnings("ignore:Previous unbuffered result was left incomplete")
@pytest.mark.parametrize("way", ["session", "connection", "stream", "run_sync"])
async def test_a_connection_survives_its_cancelled_statement(patient: Container, backend: str, way: str) -> None:
    before = await driver_of(patient)
    statement = text(SHORT_QUERY[backend])
    with pytest.raises(TimeoutError):
        async with patient.transaction()() as tx:
            connection = await tx.session.connection()  # what is cancelled is the statement
            async with asyncio.timeout(0.02):
                if way == "session":
                    await tx.session.execute(statement)
                elif way == "connection":
                    await connection.execute(statement)
                elif way == "stream":
                    await tx.session.stream(statement)
                else:
                    await tx.session.run_sync(lambda session: session.execute(statement))
    assert tx.outcome is Outcome.ROLLED_BACK
    assert await driver_of(patient) is before
    assert patient.schema().connections_in_use == 0


async def test_what_ended_within_the_grace_is_rolled_back_all_the_same(patient: Container, backend: str) -> None:
    with pytest.raises(TransactionRolledBack) as raised:
        async with patient.transaction()() as tx:
            await write(tx.session, "lost")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await tx.session.execute(text(SHORT_QUERY[backend]))
    assert isinstance(raised.value.__cause__, asyncio.CancelledError)
    assert await stored(patient) == set()


async def test_a_savepoint_takes_its_cancelled_statement_with_it_and_the_transaction_goes_on(
    patient: Container, backend: str
) -> None:
    async with patient.transaction()() as tx:
        await write(tx.session, "kept")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as clock, patient.transaction()(Propagation.NESTED):
                await write(tx.session, "lost")
                clock.reschedule(asyncio.get_running_loop().time() + 0.02)  # what is cancelled is the query
                await tx.session.execute(text(SHORT_QUERY[backend]))
        await write(tx.session, "kept too")
    assert await stored(patient) == {"kept", "kept too"}


async def test_without_a_transaction_work_goes_on_after_a_cancelled_statement(patient: Container, backend: str) -> None:
    async with patient.transaction()(Propagation.NOT_SUPPORTED) as tx:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await tx.session.execute(text(SHORT_QUERY[backend]))
        await write(tx.session, "after")
    assert await stored(patient) == {"after"}


@pytest.mark.parametrize("way", ["task", "twice", "anyio"])
async def test_a_statement_longer_than_the_grace_is_broken_off(
    transaction: TransactionProvider, with_tables: Container, backend: str, way: str
) -> None:
    async def unit() -> None:
        async with transaction() as tx:
            await tx.session.execute(text(LONG_QUERY[backend]))

    begun = time.monotonic()
    if way == "anyio":
        with anyio.move_on_after(0.1) as scope:
            await unit()
        assert scope.cancelled_caught
    else:
        task = asyncio.create_task(unit())
        await asyncio.sleep(0.1)
        task.cancel("first")
        if way == "twice":
            await asyncio.sleep(0.01)
            task.cancel("second")
        with pytest.raises(asyncio.CancelledError):
            await task
    assert time.monotonic() - begun < 2
    assert with_tables.schema().connections_in_use == 0
    async with transaction() as tx:
        await write(tx.session, "next")


async def test_waiting_out_a_statement_costs_no_processor_time(
    transaction: TransactionProvider, with_tables: Container, backend: str
) -> None:
    """AnyIO delivers its cancellation again on every turn of the loop, unless it is told to wait."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.01)

    counting = asyncio.create_task(count())
    processor = time.process_time()
    with anyio.move_on_after(0.02):
        async with transaction() as tx:
            await tx.session.execute(text(SHORT_QUERY[backend].replace("0.1", "0.2")))
    used = time.process_time() - processor
    counting.cancel()
    assert turns > 1, "the loop went on"
    if backend != "sqlite":  # which works in this process
        assert used < 0.15


async def test_who_waits_for_a_connection_is_cancelled_at_once(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    pool = with_tables.engine().pool
    held = [await with_tables.engine().connect() for _ in range(pool.size() + pool._max_overflow)]  # type: ignore[attr-defined]
    try:
        took = []
        for _ in range(3):
            begun = time.monotonic()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05), transaction(read_only=True) as tx:
                    await tx.session.execute(text("SELECT 1"))
            took.append(time.monotonic() - begun)
        assert min(took) < 0.2, "without the grace"
    finally:
        for connection in held:
            await connection.close()


async def test_a_cancellation_during_commit_is_raised_after_it(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    ran = []

    async def unit() -> None:
        async with transaction() as tx:
            outcomes.append(tx)
            tx.after_commit(lambda: ran.append("hook"))
            await write(tx.session, "stored")
            asyncio.get_running_loop().call_soon(task.cancel)

    outcomes: list[object] = []
    task = asyncio.create_task(unit())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await stored(with_tables) == {"stored"}
    assert ran == ["hook"]


async def test_a_hook_may_use_timeouts_of_its_own(transaction: TransactionProvider, with_tables: Container) -> None:
    expired = []

    async def hook() -> None:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(5)
        except TimeoutError:
            expired.append(True)

    async with transaction() as tx:
        tx.after_commit(hook)
        await write(tx.session, "stored")
    assert expired == [True]

"""How a transaction ends: its outcome, its hooks, and what the caller is told."""

import asyncio
import logging
from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container
from tests.database.commits import put_before_commit
from tests.database.tables import replies, stored, write
from unitwork import Outcome, Propagation, Transaction, TransactionProvider, current_transaction, execute_transaction
from unitwork.errors import CommitOutcomeUnknown, ConnectionLost, DriverError, ForeignKeyViolation


async def test_a_block_that_ends_normally_is_committed(with_tables: Container) -> None:
    async with with_tables.transaction()(name="greet") as tx:
        assert tx.outcome is None
        assert tx.active
        assert tx.name == "greet"
        assert tx.session.info["transaction"] is tx
        assert current_transaction() is tx
        await write(tx.session, "hello")
        assert await stored(with_tables) == set()
    assert tx.outcome is Outcome.COMMITTED
    assert not tx.active
    assert current_transaction() is None
    assert await stored(with_tables) == {"hello"}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
async def test_any_exception_rolls_back_and_leaves_unchanged(
    with_tables: Container, error: type[BaseException]
) -> None:
    raised = error("unchanged")
    with pytest.raises(error) as caught:
        async with with_tables.transaction()() as tx:
            await write(tx.session, "lost")
            raise raised
    assert caught.value is raised
    assert tx.outcome is Outcome.ROLLED_BACK
    assert await stored(with_tables) == set()


async def test_a_session_provider_commits_when_its_block_ends_normally(with_tables: Container) -> None:
    async with with_tables.session_provider()() as session:
        await write(session, "kept")
    assert await stored(with_tables) == {"kept"}


async def test_a_session_provider_rolls_back_on_any_exception(with_tables: Container) -> None:
    with pytest.raises(asyncio.CancelledError):
        async with with_tables.session_provider()() as session:
            await write(session, "lost")
            raise asyncio.CancelledError
    assert await stored(with_tables) == set()


async def test_hooks_run_in_order_after_the_commit_and_outside_the_transaction(with_tables: Container) -> None:
    seen: list[object] = []

    async def asynchronous() -> None:
        seen.append(("async", await stored(with_tables), current_transaction()))

    async with with_tables.transaction()() as tx:
        await write(tx.session, "kept")
        tx.after_commit(lambda: seen.append("sync"))
        tx.after_commit(asynchronous)
        tx.after_rollback(lambda: seen.append("never"))
    assert seen == ["sync", ("async", {"kept"}, None)]


async def test_a_hook_that_fails_is_logged_and_stops_nothing(
    with_tables: Container, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def fails() -> None:
        raise RuntimeError

    async with with_tables.transaction()() as tx:
        tx.after_commit(fails)
        tx.after_commit(lambda: seen.append("next"))
    assert seen == ["next"]
    assert [record.levelno for record in caplog.records if record.name == "unitwork.database"] == [logging.ERROR]


async def test_after_rollback_hooks_run_when_it_rolls_back(with_tables: Container) -> None:
    seen: list[str] = []
    with pytest.raises(RuntimeError):
        async with with_tables.transaction()() as tx:
            tx.after_commit(lambda: seen.append("never"))
            tx.after_rollback(lambda: seen.append("rolled back"))
            raise RuntimeError
    assert seen == ["rolled back"]


async def test_hooks_of_a_rolled_back_savepoint_are_dropped(with_tables: Container) -> None:
    seen: list[str] = []
    transaction = with_tables.transaction()
    async with transaction() as tx:
        tx.after_commit(lambda: seen.append("outer"))
        with pytest.raises(RuntimeError):
            async with transaction(Propagation.NESTED) as nested:
                nested.after_commit(lambda: seen.append("never"))
                nested.after_rollback(lambda: seen.append("savepoint rolled back"))
                raise RuntimeError
        assert seen == ["savepoint rolled back"]
        assert nested.outcome is Outcome.ROLLED_BACK
        async with transaction(Propagation.NESTED) as released:
            released.after_commit(lambda: seen.append("released"))
        assert tx.outcome is None
    assert seen == ["savepoint rolled back", "outer", "released"]


async def test_a_commit_the_database_refuses_is_an_error_and_rolled_back(with_tables: Container) -> None:
    seen: list[str] = []
    with pytest.raises(ForeignKeyViolation):
        async with with_tables.transaction()() as tx:
            tx.after_commit(lambda: seen.append("committed"))
            tx.after_rollback(lambda: seen.append("rolled back"))
            await write(tx.session, "lost")
            await tx.session.execute(replies.insert().values(note=404))
    assert tx.outcome is Outcome.ROLLED_BACK
    assert seen == ["rolled back"]
    assert await stored(with_tables) == set()
    async with with_tables.transaction()() as after:
        await write(after.session, "the connection is as new")
    assert await stored(with_tables) == {"the connection is as new"}


async def test_an_anyio_scope_that_is_cancelled_during_commit_sees_it_carried_to_its_end(
    with_tables: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow() -> None:
        scope.cancel()
        await asyncio.sleep(0.05)

    put_before_commit(monkeypatch, slow)
    with anyio.CancelScope() as scope:
        async with with_tables.transaction()() as tx:
            await write(tx.session, "kept")
        await anyio.lowlevel.checkpoint()
        pytest.fail("the cancellation was swallowed")
    assert tx.outcome is Outcome.COMMITTED
    assert await stored(with_tables) == {"kept"}


@pytest.mark.parametrize("when", range(1, 12))
async def test_cancelled_at_any_moment_the_outcome_is_the_tables(with_tables: Container, when: int) -> None:
    """A coarse walk over the unit's suspension points; each cancellation is the k-th turn of the loop."""
    transactions: list[Transaction] = []

    async def unit() -> None:
        async with with_tables.transaction()() as tx:
            transactions.append(tx)
            await write(tx.session, "one")
            await write(tx.session, "two")

    task = asyncio.create_task(unit())
    for _ in range(when):
        await asyncio.sleep(0)
    await asyncio.sleep(when * 0.0003)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    committed = bool(transactions) and transactions[0].outcome is Outcome.COMMITTED
    assert await stored(with_tables) == ({"one", "two"} if committed else set())
    assert with_tables.schema().connections_in_use == 0


@pytest.mark.parametrize(
    "error",
    [
        ConnectionLost("connection was closed in the middle of operation", sqlstate="57P01"),
        DriverError("cannot switch to state 12; another operation (2) is in progress"),
        OSError("broken pipe"),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_commit_whose_answer_is_lost_has_an_unknown_outcome_and_runs_no_hook(
    with_tables: Container, transaction: TransactionProvider, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    seen: list[str] = []

    async def lost() -> None:
        raise error

    put_before_commit(monkeypatch, lost)
    with pytest.raises(CommitOutcomeUnknown):
        async with transaction() as tx:
            tx.after_commit(lambda: seen.append("committed"))
            tx.after_rollback(lambda: seen.append("rolled back"))
            await write(tx.session, "who knows")
    assert tx.outcome is Outcome.UNKNOWN
    assert seen == []


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_commit_answered_with_rollback_is_never_reported_as_success(
    with_tables: Container, transaction: TransactionProvider
) -> None:
    """The error is caught below SQLAlchemy, where nothing of ours sees it."""
    with pytest.raises(DriverError) as caught:
        async with transaction() as tx:
            await write(tx.session, "lost")
            connection = await tx.session.connection()
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            with pytest.raises(Exception, match="division by zero"):
                await driver.execute("SELECT 1/0")
    assert "COMMIT was answered ROLLBACK" in str(caught.value)
    assert tx.outcome is Outcome.ROLLED_BACK
    assert await stored(with_tables) == set()


async def test_cancelled_during_commit_the_commit_is_carried_to_its_end(
    with_tables: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    committing = asyncio.Event()

    async def slow() -> None:
        committing.set()
        await asyncio.sleep(0.05)

    put_before_commit(monkeypatch, slow)

    async def unit() -> None:
        async with with_tables.transaction()() as tx:
            transactions.append(tx)
            tx.after_commit(lambda: seen.append("hook"))
            await write(tx.session, "kept")

    transactions: list[Transaction] = []
    task = asyncio.create_task(unit())
    await committing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert transactions[0].outcome is Outcome.COMMITTED
    assert seen == ["hook"]
    assert await stored(with_tables) == {"kept"}


async def test_execute_transaction_returns_what_its_callback_returns(with_tables: Container) -> None:
    async def callback(session: AsyncSession) -> int:
        await write(session, "kept")
        return 42

    assert await execute_transaction(with_tables.session_provider(), callback) == 42
    assert await stored(with_tables) == {"kept"}


async def test_models_outlive_the_session(with_tables: Container) -> None:
    async with with_tables.transaction()() as tx:
        rows = (await tx.session.execute(text("SELECT 1 AS one"))).all()
    assert rows[0].one == 1

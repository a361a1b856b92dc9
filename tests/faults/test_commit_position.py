"""COMMIT tells its position in the server's log in its own trip, and lies about nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from typing import Any, Final

import pytest
from sqlalchemy import insert, text

from tests.faults.fixtures import Pair
from tests.faults.ledger import Entry, entries, metadata
from tests.faults.relay import Moment, Relay
from tests.faults.replicated import Replicated, in_use
from tests.patience import until
from unitwork import Database, DatabaseOptions, Outcome, Position, execute_transaction, reading_after
from unitwork.backends import commit_position
from unitwork.backends.registry import backend_of
from unitwork.dao import BaseDao
from unitwork.errors import CommitOutcomeUnknown, DriverError, UniqueViolation

COMES_WITHIN: Final = 20.0
"""Seconds."""
SELDOM: Final = 600.0
"""Seconds between two questions in the background, of which a test wants none."""


class EntryDao(BaseDao[Any]):
    model = Entry


@pytest.fixture
def told() -> list[str | None]:
    return []


@pytest.fixture
def relay(replicated: Replicated) -> Iterator[Relay]:
    with Relay("127.0.0.1", replicated.pair.primary.port) as relay:
        yield relay


@pytest.fixture
async def database(relay: Relay, told: list[str | None]) -> AsyncIterator[Database]:
    """Its COMMITs tell."""
    options = DatabaseOptions(
        f"postgresql://postgres@127.0.0.1:{relay.port}/postgres", pool_size=1, max_overflow=0, application_name="o'shop"
    )
    async with Database(options, node_id=1) as database:
        assert backend_of(database.engine.dialect).when_committed(database.engine.sync_engine, told.append)
        async with database.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        told.clear()
        yield database


async def store(database: Database, unit: str = "a", *, retry: int | None = None) -> Outcome | None:
    outcomes = []

    async def write(session: Any) -> None:
        outcomes.append(session.info["transaction"])
        await session.execute(insert(entries).values(unit=unit, part=1))

    await execute_transaction(database.transaction, write, retry=retry)
    outcome: Outcome | None = outcomes[-1].outcome
    return outcome


async def stored(replicated: Replicated) -> int:
    return int(await replicated.pair.primary.ask("SELECT count(*) FROM ledger_entries"))


@pytest.mark.parametrize("retry", [None, 2], ids=["plain", "with its id"])
async def test_each_commit_tells_a_later_position_of_the_servers_history(
    database: Database, replicated: Replicated, told: list[str | None], retry: int | None
) -> None:
    for _ in range(3):
        assert await store(database, retry=retry) is Outcome.COMMITTED
    positions = [Position.parse(text) for text in told if text]
    assert len(positions) == len(told) == 3
    assert all(later is not None and later.follows(former) for former, later in pairwise(positions))
    here = await replicated.pair.primary.ask("SELECT pg_current_wal_insert_lsn()::text")
    last = positions[-1]
    assert last is not None
    assert last.covers(positions[0] or last)
    assert last._replace(lsn=last.lsn - 1).covers(last) is False
    now = Position.parse(f"{last.server.text} {here}")
    assert now is not None
    assert now.covers(last)


async def test_a_transaction_that_wrote_nothing_tells_none(database: Database, told: list[str | None]) -> None:
    async with database.transaction() as transaction:
        await transaction.session.execute(text("SELECT 1"))
    async with database.transaction(read_only=True) as transaction:
        await transaction.session.execute(text("SELECT 1"))
    assert told == []
    async with database.transaction() as transaction:
        name = await transaction.session.scalar(text("SHOW application_name"))
    assert name == "o?shop 3 -", "what it reports stands after the application's name"


async def test_it_takes_no_round_trip_more(database: Database, relay: Relay) -> None:
    trips = []
    await store(database)
    for committed in (None, lambda _: None):
        async with database.transaction() as transaction:
            connection: Any = await transaction.session.connection()
            pooled = await connection.get_raw_connection()
            pooled.driver_connection.committed = committed
        await store(database)
        before = relay.round_trips
        await store(database)
        trips.append(relay.round_trips - before)
    assert trips == [3, 3], "BEGIN, INSERT, COMMIT"


async def test_an_aborted_transactions_commit_is_refused_and_the_connection_kept(
    database: Database, replicated: Replicated, told: list[str | None]
) -> None:
    async with database.engine.connect() as connection:
        await connection.execute(insert(entries).values(unit="a", part=1))
        with pytest.raises(DriverError):
            await connection.execute(text("SELECT 1/0"))
        with pytest.raises(DriverError) as refused:
            await connection.commit()
        assert refused.value.sqlstate == "25P02"
    backends = await replicated.pair.primary.backends()
    assert await store(database) is Outcome.COMMITTED
    assert await replicated.pair.primary.backends() == backends
    assert await stored(replicated) == 1


async def test_a_commit_that_a_deferred_constraint_refuses_is_rolled_back(
    database: Database, replicated: Replicated
) -> None:
    unique = "ALTER TABLE ledger_entries ADD UNIQUE (unit) DEFERRABLE INITIALLY DEFERRED"
    async with database.engine.begin() as connection:
        await connection.execute(text(unique))
    await store(database)
    with pytest.raises(UniqueViolation):
        async with database.transaction() as transaction:
            await transaction.session.execute(insert(entries).values(unit="a", part=1))
    assert transaction.outcome is Outcome.ROLLED_BACK
    assert await stored(replicated) == 1


@pytest.mark.parametrize("carried_out", [True, False])
async def test_a_cancellation_around_the_report_lies_about_nothing(
    database: Database,
    replicated: Replicated,
    told: list[str | None],
    monkeypatch: pytest.MonkeyPatch,
    carried_out: bool,
) -> None:
    """The server may be told to cancel before COMMIT, by whoever, or in the report behind it."""
    cancelled = "DO $$ BEGIN RAISE EXCEPTION 'cancelled' USING ERRCODE = '57014'; END $$;"
    script = commit_position.script

    def cancelling(name: str, number: int) -> str:
        mark, _, _ = script(name, number).partition("COMMIT;")
        return f"{mark}COMMIT;{cancelled}" if carried_out else f"{mark}{cancelled}COMMIT;"

    monkeypatch.setattr("unitwork.backends.asyncpg_connections.script", cancelling)
    if carried_out:
        assert await store(database) is Outcome.COMMITTED
    else:
        with pytest.raises(DriverError):
            await store(database)
    assert await stored(replicated) == int(carried_out)
    assert told == [None], "where it stands isn't known"


async def test_a_commit_whose_answer_is_lost_leaves_the_position_unknown(
    database: Database, replicated: Replicated, relay: Relay, told: list[str | None]
) -> None:
    relay.cut_at(b"COMMIT;SELECT", Moment.AFTER)
    with pytest.raises(CommitOutcomeUnknown):
        await store(database)
    assert await stored(replicated) == 1
    assert told == [None]


async def test_a_wait_for_a_standby_that_is_cancelled_is_unknown(pair: Pair, told: list[str | None]) -> None:
    async with Database(pair.primary.url(), node_id=1) as database:
        assert backend_of(database.engine.dialect).when_committed(database.engine.sync_engine, told.append)
        async with database.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        await asyncio.to_thread(pair.standby.stop, "immediate")
        pair.primary.configure(synchronous_standby_names="standby")
        await pair.primary.ask("SELECT pg_reload_conf()")
        told.clear()
        writing = asyncio.create_task(store(database))

        async def cancelled() -> bool:
            waits = "SELECT bool_or(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            return bool(await pair.primary.ask(waits))

        await until(cancelled, within=COMES_WITHIN)
        with pytest.raises(CommitOutcomeUnknown) as unknown:
            await writing
        assert unknown.value.replicated is False
        assert told == [None]


async def test_a_lone_read_is_one_trip_to_the_replica_and_none_to_the_primary(
    replicated: Replicated, relay: Relay
) -> None:
    with Relay("127.0.0.1", replicated.pair.standby.port) as there:
        options = DatabaseOptions(
            f"postgresql://postgres@127.0.0.1:{relay.port}/postgres",
            replicas=[f"postgresql://postgres@127.0.0.1:{there.port}/postgres"],
            replica_max_lag=30.0,
        )
        async with Database(options, node_id=1) as database:
            async with database.engine.begin() as connection:
                await connection.run_sync(metadata.create_all)
            await replicated.pair.standby.caught_up()
            await in_use(database)
            assert database.replicas is not None
            dao = EntryDao(database.sessions)
            with reading_after() as work:
                for _ in range(3):
                    await dao.query().all()  # the first opens the connection, and prepares
                database.replicas._primary_watch._interval = SELDOM
                for watch in database.replicas._watches:
                    watch._interval = SELDOM
                await asyncio.sleep(0.3)  # those under way
                before = relay.round_trips, there.round_trips
                for _ in range(10):
                    await dao.query().all()
                assert (relay.round_trips - before[0], there.round_trips - before[1]) == (0, 10)
                assert work.read_from == {"replica"}

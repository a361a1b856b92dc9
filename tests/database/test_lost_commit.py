"""The answer to a COMMIT is lost on PostgreSQL: what became of the transaction is found out, or nobody guesses."""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from containers import Container, running
from settings import Settings
from tests.database.tables import create_tables, stored, write
from tests.faults.relay import COMMIT, Moment, Relay
from unitwork import Outcome, Retry, Transaction, execute_transaction
from unitwork.backends import asyncpg_connections
from unitwork.errors import CommitOutcomeUnknown, TransactionRolledBack
from unitwork.server_identity import Xid
from unitwork.transactions import lost_commit

pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
SOON = Retry(attempts=3, wait_initial=0, jitter=0.01)
SLOW_COMMIT = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow();
"""


@pytest.fixture
def relay(database_url: str) -> Iterator[Relay]:
    server = make_url(database_url)
    with Relay(server.host or "127.0.0.1", server.port or 5432) as relay:
        yield relay


@pytest.fixture
def relayed(relay: Relay, database_url: str) -> str:
    """The database's URL, by way of the relay."""
    return make_url(database_url).set(host="127.0.0.1", port=relay.port).render_as_string(hide_password=False)


@pytest.fixture
async def container(relayed: str) -> AsyncIterator[Container]:
    async with running(Container(settings=Settings(database={"url": relayed}, node_id=1))) as container:
        yield container
        assert container.schema().connections_in_use == 0


class Work:
    """Stores a note, and remembers each attempt's transaction and which hooks ran."""

    def __init__(self, note: str = "note") -> None:
        self.note = note
        self.transactions: list[Transaction] = []
        self.hooks: list[str] = []

    async def __call__(self, session: AsyncSession) -> str:
        transaction = session.info["transaction"]
        self.transactions.append(transaction)
        transaction.after_commit(lambda: self.hooks.append("committed"))
        transaction.after_rollback(lambda: self.hooks.append("rolled back"))
        await write(session, self.note)
        return self.note


async def test_twenty_lost_answers_no_wrong_verdict_and_no_duplicate(with_tables: Container, relay: Relay) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    verdicts: Counter[str] = Counter()
    for number in range(20):
        work = Work(f"note {number}")
        relay.cut_at(COMMIT, chance.choice(list(Moment)))
        assert await execute_transaction(with_tables.transaction(), work, retry=SOON) == work.note
        *failed, last = work.transactions
        assert [tx.outcome for tx in failed] == [Outcome.ROLLED_BACK] * len(failed)
        assert last.outcome is Outcome.COMMITTED
        assert work.hooks == ["rolled back"] * len(failed) + ["committed"]
        verdicts["replayed" if failed else "committed"] += 1
    assert relay.cuts == 20
    assert await stored(with_tables) == {f"note {number}" for number in range(20)}
    print(f"verdicts {dict(verdicts)}")


@pytest.mark.parametrize(
    ("moment", "attempts", "hooks"),
    [(Moment.BEFORE, 2, ["rolled back", "committed"]), (Moment.AFTER, 1, ["committed"])],
    ids=["before", "after"],
)
async def test_it_is_replayed_only_when_the_server_says_that_nothing_was_stored(
    with_tables: Container, relay: Relay, moment: Moment, attempts: int, hooks: list[str]
) -> None:
    work = Work()
    relay.cut_at(COMMIT, moment)
    await execute_transaction(with_tables.transaction(), work, retry=SOON)
    assert len(work.transactions) == attempts
    assert work.hooks == hooks
    assert await stored(with_tables) == {"note"}


@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.AFTER])
async def test_without_retry_nobody_asks_and_the_outcome_is_unknown(
    with_tables: Container, relay: Relay, moment: Moment
) -> None:
    work = Work()
    relay.cut_at(COMMIT, moment)
    with pytest.raises(CommitOutcomeUnknown):
        await execute_transaction(with_tables.transaction(), work)
    assert work.transactions[0].outcome is Outcome.UNKNOWN
    assert work.hooks == []


async def test_while_the_server_still_commits_it_is_asked_again(with_tables: Container, relay: Relay) -> None:
    async with with_tables.engine().begin() as connection:
        for statement in SLOW_COMMIT.strip().split(";\n"):
            await connection.execute(text(statement))
    work = Work()
    relay.cut_at(COMMIT, Moment.AT_ONCE)
    await execute_transaction(with_tables.transaction(), work, retry=SOON)
    assert [tx.outcome for tx in work.transactions] == [Outcome.COMMITTED]
    assert await stored(with_tables) == {"note"}


async def test_who_can_not_be_asked_in_time_leaves_it_unknown_and_nothing_is_replayed(
    with_tables: Container, relay: Relay, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lost_commit, "LOOKUP_TIMEOUT_SECONDS", 0.3)

    class Isolated(Work):
        async def __call__(self, session: AsyncSession) -> str:
            relay.refuse()
            return await super().__call__(session)

    work = Isolated()
    async with with_tables.transaction()() as tx:
        await tx.session.execute(text("SELECT 'a connection for the pool'"))
    relay.cut_at(COMMIT, Moment.AFTER)
    with pytest.raises(CommitOutcomeUnknown):
        await execute_transaction(with_tables.transaction(), work, retry=SOON)
    relay.refuse(refusing=False)
    assert [tx.outcome for tx in work.transactions] == [Outcome.UNKNOWN]
    assert work.hooks == []
    told = [record for record in caplog.records if record.name == "unitwork.database"]
    assert [record.levelno for record in told] == [logging.WARNING]
    assert await stored(with_tables) == {"note"}


async def test_a_unit_that_is_cancelled_meanwhile_ends_cancelled_at_once(with_tables: Container, relay: Relay) -> None:
    asked = asyncio.Event()

    class Isolated(Work):
        async def __call__(self, session: AsyncSession) -> str:
            relay.refuse()
            asyncio.get_running_loop().call_later(0.5, asked.set)
            return await super().__call__(session)

    work = Isolated()
    async with with_tables.transaction()() as tx:
        await tx.session.execute(text("SELECT 'a connection for the pool'"))
    relay.cut_at(COMMIT, Moment.AFTER)
    task = asyncio.create_task(execute_transaction(with_tables.transaction(), work, retry=SOON))
    await asked.wait()
    assert not task.done()
    begun = time.perf_counter()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.perf_counter() - begun < 1
    relay.refuse(refusing=False)
    assert [tx.outcome for tx in work.transactions] == [Outcome.UNKNOWN]
    assert work.hooks == []


async def test_a_deadline_bounds_the_commit_and_the_question_together(with_tables: Container, relay: Relay) -> None:
    class Hung(Work):
        async def __call__(self, session: AsyncSession) -> str:
            note = await super().__call__(session)
            relay.pause()
            return note

    work = Hung()
    begun = time.perf_counter()
    with pytest.raises(CommitOutcomeUnknown):
        await execute_transaction(with_tables.transaction(), work, retry=SOON, timeout=0.5)
    assert time.perf_counter() - begun < 2
    relay.resume()
    assert len(work.transactions) == 1


async def test_a_unit_that_only_reads_stored_nothing_whatever_was_lost(with_tables: Container, relay: Relay) -> None:
    transactions: list[Transaction] = []

    async def reads(session: AsyncSession) -> int:
        transactions.append(session.info["transaction"])
        return int(await session.scalar(text("SELECT 1")) or 0)

    relay.cut_at(COMMIT, Moment.AFTER)
    assert await execute_transaction(with_tables.transaction(), reads, read_only=True, retry=SOON) == 1
    assert [tx.outcome for tx in transactions] == [Outcome.ROLLED_BACK, Outcome.COMMITTED]
    assert [tx.unit.xid for tx in transactions] == [None, None]


async def test_the_id_costs_no_round_trip_and_leaves_no_trace(with_tables: Container, relay: Relay) -> None:
    seen: list[tuple[Xid | None, str]] = []

    async def unit(session: AsyncSession) -> None:
        await write(session, f"note {len(seen)}")
        own = await session.scalar(text("SELECT pg_current_xact_id_if_assigned()::text"))
        seen.append((session.info["transaction"].unit.xid, str(own)))

    trips = []
    for retry in (None, 2, None, 2, None):
        before = relay.round_trips
        await execute_transaction(with_tables.transaction(), unit, retry=retry)
        trips.append(relay.round_trips - before)
    print(f"round trips {trips}, the first opens the connection and prepares")
    assert len(set(trips[1:])) == 1
    assert [xid is None for xid, _ in seen] == [True, False, True, False, True]
    assert all(str(xid.number) == own for xid, own in seen if xid is not None)
    async with with_tables.transaction()() as tx:
        assert await tx.session.scalar(text("SHOW application_name")) == "gatehouse"


async def test_behind_a_transaction_pooler_the_id_is_left_out(relayed: str, relay: Relay) -> None:
    settings = Settings(database={"url": relayed, "pooler": "pgbouncer"}, node_id=1)
    async with running(Container(settings=settings)) as container:
        await create_tables(container)
        work = Work()
        relay.cut_at(COMMIT, Moment.AFTER)
        with pytest.raises(CommitOutcomeUnknown):
            await execute_transaction(container.transaction(), work, retry=SOON)
        assert work.transactions[0].unit.xid is None


async def test_on_an_engine_of_the_callers_own_the_id_is_left_out(relayed: str) -> None:
    """Its connections are asyncpg's, and know nothing of ids."""
    url = make_url(relayed).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url)
    container = Container(settings=Settings(database={"url": relayed}, node_id=1))
    container.engine.override(engine)
    async with running(container):
        seen = []

        async def ask(session: AsyncSession) -> int:
            seen.append(session.info["transaction"].unit)
            return await session.scalar(text("SELECT 1")) or 0

        assert await execute_transaction(container.transaction(), ask, retry=2) == 1
        assert [unit.xid for unit in seen] == [None]
    await engine.dispose()


@pytest.mark.parametrize(
    ("isolation", "told"), [("READ COMMITTED", True), ("REPEATABLE READ", False), ("SERIALIZABLE", True)]
)
async def test_at_repeatable_read_the_snapshot_is_left_to_the_first_statement(
    with_tables: Container, isolation: str, told: bool
) -> None:
    async def locks(session: AsyncSession) -> set[str]:
        await session.execute(text("LOCK TABLE notes"))
        unit = session.info["transaction"].unit
        assert (unit.xid is not None) is told
        return set((await session.scalars(text("SELECT text FROM notes"))).all())

    async with with_tables.engine().connect() as other:
        begun = await other.begin()
        await other.execute(text("INSERT INTO notes (text) VALUES ('committed while the lock was waited for')"))
        work = asyncio.create_task(
            execute_transaction(with_tables.transaction(), locks, isolation=isolation, retry=SOON)
        )
        await asyncio.sleep(0.3)
        await begun.commit()
    seen = await work
    assert bool(seen) or isolation == "SERIALIZABLE"


@pytest.mark.parametrize(
    "question", [" SELECT no_such_function();", " SELECT 1/0;", asyncpg_connections.REPORT_XID.replace("{nonce}", "0")]
)
async def test_a_question_that_is_not_answered_harms_no_unit(
    with_tables: Container, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    monkeypatch.setattr(asyncpg_connections, "REPORT_XID", question)
    for note in ("one", "two"):
        work = Work(note)
        await execute_transaction(with_tables.transaction(), work, retry=SOON)
        assert [tx.unit.xid for tx in work.transactions] == [None]
    work = Work("doomed")
    with pytest.raises(TransactionRolledBack):
        async with with_tables.transaction()() as tx:
            await work(tx.session)
            tx.set_rollback_only()
    assert await stored(with_tables) == {"one", "two"}

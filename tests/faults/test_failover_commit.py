"""The answer to COMMIT is lost, and the server that is asked afterwards is another: its word is worth nothing. 200 of
each are in `make storm`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest
from sqlalchemy import insert

from settings import Settings
from tests.faults.fixtures import Pair
from tests.faults.ledger import Entry, entries, metadata
from tests.faults.lost_commit import ATTEMPTS, lose_commits_across
from tests.faults.relay import Moment
from tests.faults.waiting import until
from unitwork import Database, execute_transaction
from unitwork.dao import BaseDao
from unitwork.errors import CommitOutcomeUnknown
from unitwork.server_identity import SERVER_IDENTITY

COUNT: Final = 5
WAITS_WITHIN: Final = 20.0
"""Seconds after which a COMMIT that should wait for its standby was none."""


@pytest.fixture
def settings_of(tmp_path: Path) -> Callable[[str], Settings]:
    def settings(url: str) -> Settings:
        section = {"url": url, "pool_size": 2}
        return Settings.model_validate({"database": section, "var_dir": tmp_path, "node_id": 4095})

    return settings


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("retry", [None, ATTEMPTS])
async def test_another_servers_word_on_a_lost_commit_is_not_believed(
    settings_of: Callable[[str], Settings], pair: Pair, moment: Moment, retry: int | None
) -> None:
    verdicts = await lose_commits_across(settings_of, pair, moment, COUNT, mapped=True, retry=retry)
    print(f"{moment.name}: {verdicts}")
    assert (len(verdicts.unknown), verdicts.committed, verdicts.failed) == (COUNT, set(), {})
    assert verdicts.attempts.total() == verdicts.cuts == COUNT, "what may be stored is never done again"


async def test_a_promoted_server_has_another_identity_at_once_to_any_role(pair: Pair) -> None:
    await pair.primary.ask("CREATE ROLE ordinary LOGIN")
    await pair.standby.caught_up()
    before = await pair.primary.ask(f"SELECT {SERVER_IDENTITY}")
    await pair.standby.promote()
    ordinary: Any = await asyncpg.connect(pair.standby.url().replace("postgres@", "ordinary@"))
    try:
        system, timeline = (await ordinary.fetchval(f"SELECT {SERVER_IDENTITY}")).split(" ")
    finally:
        await ordinary.close()
    assert before == f"{system} 00000001"
    assert timeline == "00000002"


class EntryDao(BaseDao[Any]):
    """A DAO, for lone writes."""

    model = Entry


async def in_a_transaction(database: Database) -> None:
    async with database.transaction() as transaction:
        await transaction.session.execute(insert(entries).values(unit="waits", part=1))


async def with_retry(database: Database) -> None:
    async def callback(session: Any) -> None:
        session.add(Entry("waits", 1))

    await execute_transaction(database.transaction, callback, retry=3)


async def as_a_lone_write(database: Database) -> None:
    await EntryDao(database.sessions).update().eq("unit", "there").set(unit="waits").execute()


@asynccontextmanager
async def waiting_for_its_standby(pair: Pair) -> AsyncIterator[Database]:
    """A database whose COMMITs wait for a standby that doesn't answer."""
    async with Database(pair.primary.url()) as database:
        async with database.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
            await connection.execute(insert(entries).values(unit="there", part=1))
        await asyncio.to_thread(pair.standby.stop, "immediate")
        pair.primary.configure(synchronous_standby_names="standby")
        await pair.primary.ask("SELECT pg_reload_conf()")
        yield database


@pytest.mark.parametrize("how", ["pg_cancel_backend", "pg_terminate_backend"])
@pytest.mark.parametrize("write", [in_a_transaction, with_retry, as_a_lone_write])
async def test_a_commit_whose_wait_for_the_standby_is_cancelled_is_unknown(
    pair: Pair, how: str, write: Callable[[Database], Coroutine[Any, Any, None]]
) -> None:
    async with waiting_for_its_standby(pair) as database:
        writing = asyncio.create_task(write(database))

        async def ended() -> bool:
            waits = "SELECT bool_or({}(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            return bool(await pair.primary.ask(waits.format(how)))

        assert await until(ended, within=WAITS_WITHIN)
        with pytest.raises(CommitOutcomeUnknown) as told:
            await writing
        if how == "pg_cancel_backend":
            assert told.value.replicated is False
            assert "synchronous standby was cancelled" in str(told.value)
        count = f"SELECT count(*) FROM {entries.name} WHERE unit = 'waits'"
        assert await pair.primary.ask(count) == 1, "stored once, where nobody else has it"
        async with database.engine.connect() as connection:
            assert (await connection.exec_driver_sql(count)).scalar_one() == 1, "the pool goes on"


async def test_a_restarted_server_is_asked_as_before(pair: Pair) -> None:
    """Recovery after a crash begins no timeline."""
    before = await pair.primary.ask(f"SELECT {SERVER_IDENTITY}")
    await asyncio.to_thread(pair.primary.stop, "immediate")
    await asyncio.to_thread(pair.primary.start)
    assert await pair.primary.ask(f"SELECT {SERVER_IDENTITY}") == before

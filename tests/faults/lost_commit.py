"""Units whose COMMIT loses its answer, and whether what they were told is what is stored."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container, running
from settings import Settings
from tests.faults.fixtures import Pair
from tests.faults.ledger import Entry, create_ledger, parts_stored, write_part
from tests.faults.relay import COMMIT, Moment, Relay
from unitwork import execute_transaction
from unitwork.errors import CommitOutcomeUnknown

ATTEMPTS: Final = 3
USE_UP_IDS: Final = """
DO $$ BEGIN FOR n IN 1..{count} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"""
"""SQL text of so many transactions that are committed."""


@dataclass
class Verdicts:
    """What each unit was told, by name."""

    committed: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    failed: dict[str, Exception] = field(default_factory=dict)
    attempts: Counter[str] = field(default_factory=Counter)
    """How often each callback ran."""
    cuts: int = 0

    def wrong(self, stored: Counter[str]) -> list[str]:
        """Told a success and nothing is stored, told a failure and something is; half units; units stored twice."""
        return (
            [f"{unit}: told committed, {stored[unit]} rows" for unit in self.committed if stored[unit] != 2]
            + [f"{unit}: told {error!r}, {stored[unit]} rows" for unit, error in self.failed.items() if stored[unit]]
            + [f"{unit}: {count} rows" for unit, count in stored.items() if count != 2]
        )

    def __str__(self) -> str:
        told = f"{len(self.committed)} told committed, {len(self.unknown)} unknown, {len(self.failed)} failed"
        return f"{told}, {self.attempts.total()} attempts, {self.cuts} cuts"


@asynccontextmanager
async def behind_a_relay(settings: Settings) -> AsyncIterator[tuple[Container, Relay]]:
    """A running container whose connections all pass a relay, with the ledger in its database."""
    url = settings.database.url
    with Relay(url.host or "127.0.0.1", url.port or 5432) as relay:
        cut_url = url.set(host="127.0.0.1", port=relay.port)
        database = settings.database.model_copy(update={"url": cut_url, "pool_size": 2})
        async with running(Container(settings=settings.model_copy(update={"database": database}))) as container:
            await create_ledger(container)
            yield container, relay


async def lose_commits(
    settings: Settings, moment: Moment, count: int, *, mapped: bool, retry: int | None
) -> tuple[Verdicts, list[str]]:
    """So many units, each COMMIT cut at this moment the first time. `mapped` ones flush rows and get their keys back,
    the others insert without asking for anything.
    """
    verdicts = Verdicts()
    async with behind_a_relay(settings) as (container, relay):
        for number in range(count):
            unit = f"{moment.name} {number}"
            relay.cut_at(COMMIT, moment)
            await _told(container, unit, verdicts, mapped=mapped, retry=retry)
        verdicts.cuts = relay.cuts
        return verdicts, verdicts.wrong(await parts_stored(container))


async def lose_commits_across(
    settings: Callable[[str], Settings], pair: Pair, moment: Moment, count: int, *, mapped: bool, retry: int | None
) -> Verdicts:
    """So many units on a primary, each COMMIT cut at this moment; the address leads to the promoted standby from then
    on, where every id of theirs is one of another transaction, which was committed.
    """
    verdicts = Verdicts()
    with Relay("127.0.0.1", pair.primary.port) as relay:
        url = f"postgresql://postgres@127.0.0.1:{relay.port}/postgres"
        async with running(Container(settings=settings(url))) as container:
            await create_ledger(container)
        await pair.standby.caught_up()
        await pair.standby.promote()
        await pair.standby.ask(USE_UP_IDS.format(count=10 * count))
        for number in range(count):
            relay.lead_to(pair.primary.port)
            # A container each: one that has seen the new primary takes no connection to the former any more.
            async with running(Container(settings=settings(url))) as container:
                async with container.engine().connect():
                    relay.cut_at(COMMIT, moment, then_to=pair.standby.port)
                await _told(container, f"{moment.name} {number}", verdicts, mapped=mapped, retry=retry)
        verdicts.cuts = relay.cuts
        return verdicts


async def _told(container: Container, unit: str, verdicts: Verdicts, *, mapped: bool, retry: int | None) -> None:
    async def callback(session: AsyncSession) -> None:
        verdicts.attempts[unit] += 1
        if mapped:
            session.add_all([Entry(unit, 1), Entry(unit, 2)])
            await session.flush()
        else:
            await write_part(session, unit, 1)
            await write_part(session, unit, 2)

    try:
        await execute_transaction(container.transaction(), callback, retry=retry)
    except CommitOutcomeUnknown:
        verdicts.unknown.add(unit)
    except Exception as error:
        verdicts.failed[unit] = error
    else:
        verdicts.committed.add(unit)

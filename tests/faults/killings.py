"""Killings: workers run units with retry while their backends are killed one after the other."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container
from tests.faults.ledger import Entry, parts_stored
from tests.faults.percentiles import percentiles
from tests.faults.private_postgresql import PrivatePostgresql
from unitwork import execute_transaction
from unitwork.errors import CommitOutcomeUnknown

ATTEMPTS: Final = 5


@dataclass
class Casualties:
    """What became of the units."""

    kills: int = 0
    units: int = 0
    failed: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.kills} backends killed, {self.units} units: {len(self.failed)} failed, "
            f"{len(self.unknown)} unknown, {len(self.wrong)} wrong; a unit took {percentiles(self.latencies)}"
        )


async def run_under_kills(
    container: Container,
    server: PrivatePostgresql,
    kills: int,
    *,
    workers: int = 10,
    kill: Callable[[PrivatePostgresql, int], Awaitable[object]] = PrivatePostgresql.terminate,
) -> Casualties:
    """Until so many backends were killed, of the container's own database."""
    casualties = Casualties()
    numbers = itertools.count()
    committed: set[str] = set()
    over = asyncio.Event()

    async def worker() -> None:
        while not over.is_set():
            unit = f"unit {next(numbers)}"

            async def callback(session: AsyncSession, unit: str = unit) -> None:
                session.add(Entry(unit, 1))
                await session.flush()
                session.add(Entry(unit, 2))

            begun = time.perf_counter()
            try:
                await execute_transaction(container.transaction(), callback, retry=ATTEMPTS)
            except CommitOutcomeUnknown:
                casualties.unknown.append(unit)
            except Exception as error:
                casualties.failed.append(f"{unit}: {error!r}")
                await asyncio.sleep(0.05)  # what fails at once must not spin
            else:
                committed.add(unit)
            casualties.units += 1
            casualties.latencies.append(time.perf_counter() - begun)

    running = [asyncio.create_task(worker()) for _ in range(workers)]
    database = container.settings().database.url.database or ""
    try:
        until = time.monotonic() + 60 + 5 * kills
        for turn in itertools.count():
            await asyncio.sleep(0.03)
            if time.monotonic() > until:
                casualties.failed.append(f"only {casualties.kills} of {kills} backends were there to be killed")
                break
            victims = await server.backends(database)
            if victims and await kill(server, victims[turn % len(victims)]):
                casualties.kills += 1
            if casualties.kills >= kills:
                break
        await asyncio.sleep(0.1)
    finally:
        over.set()
        await asyncio.gather(*running)
    stored = await parts_stored(container)
    casualties.wrong += [f"{unit}: told committed, {stored[unit]} rows" for unit in committed if stored[unit] != 2]
    casualties.wrong += [f"{unit}: {count} rows" for unit, count in stored.items() if count != 2]
    return casualties

"""Contention: many tasks count up one row, or lock two rows in opposite order, and all come through."""

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Column, Integer, MetaData, Table, select
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container
from tests.faults.percentiles import percentiles
from unitwork import Retry, execute_transaction

metadata = MetaData()
counters = Table("fault_counters", metadata, Column("id", Integer, primary_key=True), Column("value", Integer))
RETRY: Final = Retry(attempts=100, timeout=None)
"""So many that only a retry that never waits runs out of them, however long a busy machine takes for them."""


@dataclass
class Contended:
    """What came of it."""

    total: int = 0
    hooks: int = 0
    attempts: int = 0
    failed: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"total {self.total}, hooks {self.hooks}, attempts {self.attempts}, failed {len(self.failed)}; "
            f"a unit took {percentiles(self.latencies)}"
        )


async def create_counters(container: Container, count: int) -> None:
    """The table, with so many rows at zero."""
    async with container.engine().begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.execute(counters.insert(), [{"id": number, "value": 0} for number in range(count)])


async def count_up(container: Container, count: int, *, tasks: int = 32) -> Contended:
    """So many serialisable read-and-add units on one row, by so many tasks."""
    contended = Contended()
    numbers = iter(range(count))

    async def callback(session: AsyncSession) -> None:
        contended.attempts += 1
        _transaction(session).after_commit(lambda: _ran(contended))
        value = (await session.execute(select(counters.c.value).where(counters.c.id == 0))).scalar_one()
        await session.execute(counters.update().where(counters.c.id == 0).values(value=value + 1))

    async def worker() -> None:
        for _ in numbers:
            begun = time.perf_counter()
            try:
                await execute_transaction(container.transaction(), callback, isolation="SERIALIZABLE", retry=RETRY)
            except Exception as error:
                contended.failed.append(repr(error))
            contended.latencies.append(time.perf_counter() - begun)

    await asyncio.gather(*(worker() for _ in range(tasks)))
    async with container.session_provider()(read_only=True) as session:
        contended.total = (await session.execute(select(counters.c.value).where(counters.c.id == 0))).scalar_one()
    return contended


async def lock_crosswise(container: Container, pairs: int) -> Contended:
    """So many pairs of units that add to rows 0 and 1, one up and one down: each pair deadlocks the first time."""
    contended = Contended()

    async def unit(first: int, second: int, met: asyncio.Barrier) -> None:
        attempt = itertools.count()

        async def callback(session: AsyncSession) -> None:
            contended.attempts += 1
            _transaction(session).after_commit(lambda: _ran(contended))
            for step, row in enumerate((first, second)):
                if step == 1 and next(attempt) == 0:
                    await met.wait()
                value = counters.c.value + 1
                await session.execute(counters.update().where(counters.c.id == row).values(value=value))

        begun = time.perf_counter()
        try:
            await execute_transaction(container.transaction(), callback, retry=RETRY)
        except Exception as error:
            contended.failed.append(repr(error))
        contended.latencies.append(time.perf_counter() - begun)

    for _ in range(pairs):
        met = asyncio.Barrier(2)
        await asyncio.gather(unit(0, 1, met), unit(1, 0, met))
    async with container.session_provider()(read_only=True) as session:
        contended.total = sum((await session.scalars(select(counters.c.value))).all())
    return contended


def _transaction(session: AsyncSession) -> Any:
    return session.info["transaction"]


def _ran(contended: Contended) -> None:
    contended.hooks += 1

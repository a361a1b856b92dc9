"""What the safe provider costs beside a plain `async with maker()`: two inserts, a statement each, and COMMIT."""

import gc
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from sqlalchemy import URL, Column, Integer, MetaData, String, Table
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from benchmarks.effort import Effort
from benchmarks.results import Section
from containers import Container, running
from settings import Settings

SLICES: Final = 20
"""A round is so many slices of each in turn, so that whatever else the machine does meets them all alike."""
metadata = MetaData()
rows = Table(
    "bench_units",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("unit", String(80), nullable=False),
    Column("part", Integer, nullable=False),
)

Unit = Callable[[], Awaitable[None]]


@dataclass
class Cost:
    """Of one unit, in seconds: one figure for each slice."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


async def measure(url: URL, effort: Effort) -> Section:
    """Plain, the provider, and the transaction, in turn."""
    async with AsyncExitStack() as stack:
        plain = create_async_engine(url.set(drivername="postgresql+asyncpg"), pool_use_lifo=True)
        stack.push_async_callback(plain.dispose)
        async with plain.begin() as connection:
            await connection.run_sync(metadata.create_all)
        settings = Settings.model_validate({"database": {"url": url.render_as_string(hide_password=False)}})
        container = await stack.enter_async_context(running(Container(settings=settings)))
        await container.schema().upgrade()
        maker = async_sessionmaker(plain, expire_on_commit=False)
        provider, transaction = container.session_provider(), container.transaction()

        async def with_maker() -> None:
            async with maker() as session:
                await _two_inserts(session)
                await session.commit()

        async def with_provider() -> None:
            async with provider() as session:
                await _two_inserts(session)

        async def with_transaction() -> None:
            async with transaction() as tx:
                await _two_inserts(tx.session)

        kinds = {
            "async with maker()": with_maker,
            "session_provider()": with_provider,
            "transaction()": with_transaction,
        }
        costs = await _in_turn(kinds, effort)
        async with plain.begin() as connection:
            await connection.run_sync(metadata.drop_all)
        await container.schema().downgrade("base")
    base = costs["async with maker()"]
    return Section(
        "Overhead of the safe provider",
        f"A unit of two inserts in two statements and COMMIT, asyncpg, one at a time in one process, each in turn; "
        f"medians of {effort.rounds * SLICES} slices.",
        ["unit", "wall ms", "×", "CPU ms", "×"],
        [
            [
                name,
                f"{median(cost.wall) * 1000:.3f}",
                f"{_ratio(cost.wall, base.wall):.2f}",
                f"{median(cost.cpu) * 1000:.3f}",
                f"{_ratio(cost.cpu, base.cpu):.2f}",
            ]
            for name, cost in costs.items()
        ],
        ["× is the median of the ratios of slices that ran next to each other."],
    )


async def _two_inserts(session: AsyncSession) -> None:
    await session.execute(rows.insert().values(unit="unit", part=1))
    await session.execute(rows.insert().values(unit="unit", part=2))


async def _in_turn(kinds: Mapping[str, Unit], effort: Effort) -> dict[str, Cost]:
    """Warmed up, and without the garbage collector's pauses, which hit whoever is on."""
    costs = {name: Cost() for name in kinds}
    per_slice = await _units_in(kinds, effort.seconds / SLICES / len(kinds))
    gc.collect()
    gc.freeze()
    for _ in range(effort.rounds * SLICES):
        for name, unit in kinds.items():
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(per_slice):
                await unit()
            costs[name].wall.append((time.perf_counter() - wall) / per_slice)
            costs[name].cpu.append((time.process_time() - cpu) / per_slice)
    gc.unfreeze()
    return costs


async def _units_in(kinds: Mapping[str, Unit], seconds: float) -> int:
    """How many units fit; each kind is warm afterwards."""
    begun = time.perf_counter()
    for _ in range(100):
        for unit in kinds.values():
            await unit()
    each = (time.perf_counter() - begun) / 100 / len(kinds)
    return max(int(seconds / each), 5)


def _ratio(ours: list[float], theirs: list[float]) -> float:
    return median(our / their for our, their in zip(ours, theirs, strict=True))

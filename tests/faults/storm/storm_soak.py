"""Half an hour of mixed load under faults: memory, tasks and backends stay where they were.

GATEHOUSE_TEST_STORM takes a share of the half hour.
"""

import asyncio
import gc
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from containers import Container, running
from settings import Settings
from tests.faults.campaign import Campaign, How
from tests.faults.killings import run_under_kills
from tests.faults.leaks import backends, in_use
from tests.faults.ledger import create_ledger
from tests.faults.private_postgresql import PrivatePostgresql
from tests.faults.work import EVERY_WORK
from unitwork.errors import DatabaseError

SECONDS = 1800.0
WARM = 0.25
"""The part of the time in which caches fill; the slope is taken over the rest."""


@pytest.mark.timeout(3600)
async def test_after_half_an_hour_of_faults_nothing_has_grown(
    private_postgresql: PrivatePostgresql, private_settings: Callable[..., Settings], seed: int, share: float
) -> None:
    begun = time.monotonic()
    samples: list[tuple[float, float]] = []
    counts = {"rounds": 0, "cancelled": 0, "kills": 0, "restarts": 0, "hangs": 0}
    settings = private_settings(pool_size=10, max_overflow=0, pool_timeout=30.0)
    async with running(Container(settings=settings)) as container:
        await container.schema().upgrade()
        await create_ledger(container)
        tasks = len(asyncio.all_tasks())
        while (now := time.monotonic() - begun) < SECONDS * share:
            problems = await _round(container, private_postgresql, seed + counts["rounds"], counts)
            assert not problems, f"seed {seed + counts['rounds']}: " + "\n".join(problems[:20])
            counts["rounds"] += 1
            gc.collect()
            samples.append((now, _resident()))
            assert in_use(container.engine()) == 0
            assert len(asyncio.all_tasks()) <= tasks, asyncio.all_tasks()
            assert await backends(settings.database.url) <= 10
    steady = [sample for sample in samples if sample[0] >= now * WARM]
    slope = statistics.linear_regression(*zip(*steady, strict=True)).slope * 3600
    print(
        f"\nseed {seed}: {now / 60:.0f} minutes, {counts}; resident {samples[0][1]:.1f} MB at first, "
        f"{steady[0][1]:.1f} MB warm, {samples[-1][1]:.1f} MB at the end, slope {slope:+.1f} MB an hour, "
        f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.1f} MB"
    )
    assert await backends(settings.database.url) == 0
    assert samples[-1][1] < steady[0][1] * 1.1


async def _round(container: Container, server: PrivatePostgresql, seed: int, counts: dict[str, int]) -> list[str]:
    """Units of each kind cancelled in each way, then under kills, then a hang and a restart."""
    problems = []
    for work in EVERY_WORK:
        campaign = Campaign(container, work, tuple(How), seed=seed)
        await campaign.run(100)
        problems += await campaign.problems()
        await _empty(container)
        counts["cancelled"] += campaign.cancelled
    casualties = await run_under_kills(container, server, 10)
    problems += casualties.failed + casualties.wrong
    counts["kills"] += casualties.kills
    await _hang(container, server)
    counts["hangs"] += 1
    await asyncio.to_thread(_restart, server, "fast" if seed % 2 else "immediate")
    counts["restarts"] += 1
    await _until_it_works(container)
    await _empty(container)
    return problems


async def _empty(container: Container) -> None:
    """Units of the next campaign have the same names."""
    async with container.transaction()() as tx:
        await tx.session.execute(text("TRUNCATE ledger_entries"))


async def _hang(container: Container, server: PrivatePostgresql) -> None:
    async def unit() -> None:
        async with container.transaction()() as tx:
            pid = await tx.session.scalar(text("SELECT pg_backend_pid()"))
            server.freeze(pid or 0)
            await tx.session.execute(text("SELECT 1"))

    try:
        async with asyncio.timeout(0.2):
            await unit()
    except TimeoutError:
        server.thaw_all()


def _restart(server: PrivatePostgresql, shutdown: str) -> None:
    server.stop("fast" if shutdown == "fast" else "immediate")
    server.start()


async def _until_it_works(container: Container) -> None:
    for _ in range(100):
        try:
            async with container.session_provider()(read_only=True) as session:
                await session.execute(text("SELECT 1"))
        except DatabaseError:
            await asyncio.sleep(0.05)
        else:
            return


def _resident() -> float:
    """Megabytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6

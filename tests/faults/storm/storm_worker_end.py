"""A worker is told to stop (SIGTERM) in the middle of 1,000 tasks, of which some run into their soft time limit."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from containers import Container, running
from settings import Settings
from tests.app.worker.brokers import broker_variables
from tests.app.worker.processes import sender, worker
from tests.faults.leaks import backends
from tests.patience import until

TASKS = 1_000
LATE = 5


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_worker_that_stops_leaves_nothing_half_and_nothing_behind(
    container: Container, settings: Settings, database_url: str, tmp_path: Path
) -> None:
    url = container.settings().database.url
    users = container.user_dao()
    assert await users.count().rows() == 0  # and this container's connection is open
    mine = await backends(url)

    async def gone() -> bool:
        return await backends(url) <= mine

    async def done(number: int) -> bool:
        return await users.count().rows() >= number

    with broker_variables("redis") as variables:
        variables |= {"DATABASE_URL": database_url, "GATEHOUSE_VAR_DIR": str(tmp_path)}
        section = {
            "queue": variables["GATEHOUSE_WORKER__QUEUE"],
            "broker_url": variables["GATEHOUSE_WORKER__BROKER_URL"],
        }
        here = settings.model_copy(update={"worker": settings.worker.model_validate(section)})
        async with running(Container(settings=here)) as client:
            with sender(client.broker()) as celery:
                for number in range(TASKS):
                    celery.send_task("test.pair", [number])
                    if number % (TASKS // LATE) == 0:
                        celery.send_task("test.dawdle", [f"late{number}@example.com"])
        with worker(tmp_path, "--pool=prefork", "--concurrency=4", **variables) as process:
            await until(lambda: done(TASKS // 2), within=300, pause=0.2)
            took = await asyncio.to_thread(process.end, within=60)
        stored = await users.query().scalars("email")
        halves = Counter(email.partition(".")[0] for email in stored)
        print(f"SIGTERM: ended after {took:.1f} s, {len(halves)} of {TASKS} units stored")
        await until(gone, within=5)
        assert 0 < len(halves) < TASKS
        assert set(halves.values()) == {2}, "no unit is half stored, nor that of a task that ran out of time"
        with worker(tmp_path, "--pool=prefork", "--concurrency=4", **variables) as process:
            await until(lambda: done(2 * TASKS), within=300, pause=0.2)
            await asyncio.to_thread(process.end, within=60)
    assert await users.count().rows() == 2 * TASKS
    await until(gone, within=5)
    print(f"a second worker did the rest: {TASKS} units, 0 half, 0 lost, 0 connections left")

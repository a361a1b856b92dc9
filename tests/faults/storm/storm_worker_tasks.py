"""4 prefork processes and 4,000 tasks for 50 users: connections, loops, and whose name stands in the rows."""

import asyncio
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container, running
from domain import User
from services.messaging.broker import ACTING_USER
from settings import Settings
from tests.app.worker.brokers import broker_variables
from tests.app.worker.processes import sender, worker
from tests.faults.leaks import backends
from tests.patience import until

PROCESSES = 4
TASKS = 4_000
USERS = 50
POOL_SIZE = 5


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize("broker", ["embedded", "redis"])
async def test_thousands_of_tasks_leave_nothing_behind(
    container: Container, session: AsyncSession, settings: Settings, database_url: str, tmp_path: Path, broker: str
) -> None:
    url = container.settings().database.url
    mine = await backends(url)
    with broker_variables(broker) as variables:
        variables |= {"DATABASE_URL": database_url, "GATEHOUSE_VAR_DIR": str(tmp_path)}
        section = {
            "queue": variables["GATEHOUSE_WORKER__QUEUE"],
            "broker_url": variables.get("GATEHOUSE_WORKER__BROKER_URL"),
        }
        here = settings.model_copy(update={"worker": settings.worker.model_validate(section)})
        with worker(tmp_path, "--pool=prefork", f"--concurrency={PROCESSES}", **variables) as process:
            async with running(Container(settings=here)) as client:
                begun = time.perf_counter()
                opened = await asyncio.to_thread(_send, client)
                took = time.perf_counter() - begun
            process.end()
    print(f"{broker}: {TASKS} tasks in {took:.1f} s by {len(opened)} processes, connections opened {dict(opened)}")

    async def gone() -> bool:
        return await backends(url) <= mine

    await until(gone, within=5)
    assert len(opened) <= PROCESSES
    assert max(opened.values()) <= POOL_SIZE
    users = (await session.scalars(select(User))).all()
    assert len(users) == TASKS
    wrong = [
        user
        for user in users
        for author in (user.created_by, user.updated_by)
        if author != 1 + int((user.email or "").partition("@")[0].removeprefix("user")) % USERS
    ]
    print(f"{broker}: {len(wrong)} of {2 * TASKS} audit columns wrong, 0 connections left, log clean")
    assert wrong == []


def _send(client: Container) -> Counter[int]:
    with sender(client.broker()) as celery:
        results = [
            celery.send_task("test.work", [f"user{number}@example.com"], headers={ACTING_USER: str(1 + number % USERS)})
            for number in range(TASKS)
        ]
        opened: Counter[int] = Counter()
        for result in results:
            done = result.get(timeout=600)
            opened[done["pid"]] = max(opened[done["pid"]], done["connections"])
    return opened

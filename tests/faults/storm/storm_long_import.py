"""An import of a million rows by a worker that is killed every 20 seconds ends, with no row twice and none missing."""

import asyncio
import os
import random
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from containers import Container, running
from domain import JobStatus
from settings import Settings
from tests.app.worker.processes import exists, gatehouse_worker
from unitwork.models import SYSTEM, acting_as

ROWS: Final = int(os.environ.get("GATEHOUSE_TESTS_ROWS", "1000000"))
KILLED_EVERY: Final = 20.0
"""Seconds."""

pytestmark = pytest.mark.database("own")


class Rows:
    """The file, made while it is read."""

    def __init__(self, rows: int) -> None:
        self._next, self._rows = 0, rows

    async def read(self, _size: int, /) -> bytes:
        numbers = range(self._next, min(self._next + 2000, self._rows))
        header = b"email\n" if self._next == 0 else b""
        self._next = numbers.stop
        return header + "".join(f"user{number}@example.com\n" for number in numbers).encode()


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.timeout(3600)
async def test_an_import_ends_however_often_its_worker_is_killed(
    container: Container, settings: Settings, database_url: str, tmp_path: Path
) -> None:
    variables = {
        "DATABASE_URL": database_url,
        "GATEHOUSE_VAR_DIR": str(tmp_path),
        "GATEHOUSE_CSV__MAX_ROWS": str(ROWS),
    }
    kills, most, begun = 0, 0, time.monotonic()
    async with running(Container(settings=settings)) as client:
        with acting_as(SYSTEM):
            importing = client.user_import_job()
            importing._max_bytes = 1 << 30
            job = await importing.start(Rows(ROWS))
        print(f"{ROWS} rows are taken after {time.monotonic() - begun:.0f} s", flush=True)
        begun = time.monotonic()
        variables["GATEHOUSE_CSV__MAX_BYTES"] = str(1 << 30)
        while (job := await client.job_service().get(job.id)).finished_at is None:
            with ExitStack() as stack:
                process = await asyncio.to_thread(lambda: stack.enter_context(gatehouse_worker(tmp_path, **variables)))
                ends = time.monotonic() + KILLED_EVERY
                while time.monotonic() < ends and job.finished_at is None:
                    await asyncio.sleep(random.uniform(0.2, 0.4))
                    job = await client.job_service().get(job.id)
                    for message in (await client.outbox_service().list()).items:
                        most = max(most, message.attempts)
                kills += job.finished_at is None
                workers = process.children()
                process.process.kill()
            for pid in workers:
                if exists(pid):
                    os.killpg(pid, signal.SIGKILL)
            imported = job.progress.get("imported", 0)
            print(f"{time.monotonic() - begun:5.0f} s, {kills} kills: {imported} rows, {job.status}", flush=True)
        accounts = await client.user_dao().count().rows()
    print(f"{ROWS} rows in {time.monotonic() - begun:.0f} s with {kills} kills; at most {most} attempts", flush=True)
    assert (job.status, job.error) == (JobStatus.DONE, None)
    assert (job.progress["rows"], job.progress["imported"], job.progress["skipped"]) == (ROWS, ROWS, 0)
    assert accounts == ROWS
    assert most <= 3

"""LoopWatch: a process whose loop hangs, or whose work can't be cancelled, ends itself and names the line."""

import asyncio
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from app.worker.loop_watch import EXIT_CODE
from containers import Container, running
from settings import Settings
from tests.app.worker.application import BLOCK, EFFECT
from tests.app.worker.brokers import broker_variables
from tests.app.worker.processes import exists, worker
from tests.conftest import ROOT
from tests.patience import until
from unitwork.models import SYSTEM, acting_as

SCRIPT = """
import asyncio, ctypes, logging, time
from app.worker.loop_watch import LoopWatch

logging.basicConfig(format="%(message)s")

async def main():
    watch = LoopWatch(0.5)
    watch.start()
    beat = asyncio.create_task(watch.beat())
    await asyncio.sleep(1.2)  # a loop that runs is left alone
{work}
    beat.cancel()
    await asyncio.wait((beat,))
    watch.stop()
    print("came to its end")

asyncio.run(main())
"""


def run(work: str) -> "subprocess.CompletedProcess[str]":
    script = SCRIPT.format(work=textwrap.indent(textwrap.dedent(work), "    "))
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_loop_that_hangs_ends_the_process_and_its_line_is_named() -> None:
    hung = run("time.sleep(60)  # blocks")
    assert hung.returncode == EXIT_CODE, hung.stderr
    assert "the event loop hangs for 0.5 s, at <string>:12 (main); the process ends itself" in hung.stderr
    assert 'File "<string>", line 12 in main' in hung.stderr, "the dump of all threads"
    assert hung.stdout == ""


def test_code_that_holds_the_interpreters_lock_is_ended_too() -> None:
    hung = run("ctypes.PyDLL(None).sleep(60)")
    assert hung.returncode == 1, hung.stderr
    assert "line 12 in main" in hung.stderr


def test_a_loop_that_pauses_for_less_and_work_that_ends_within_its_limit_are_left_alone() -> None:
    paused = run(
        """
        with watch.limited(1.0, "task", None):
            for _ in range(3):
                time.sleep(0.2)
                await asyncio.sleep(0.1)
        await asyncio.sleep(0.3)
        """
    )
    assert (paused.returncode, paused.stdout, paused.stderr) == (0, "came to its end\n", "")


def test_work_that_refuses_to_be_cancelled_ends_the_process_at_its_hard_limit() -> None:
    endless = run(
        """
        async def stubborn():
            while True:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    pass

        async def work():
            await stubborn()

        task = asyncio.create_task(work())
        with watch.limited(1.0, "task test", task):
            await asyncio.sleep(60)
        """
    )
    assert endless.returncode == EXIT_CODE, endless.stderr
    assert "task test is over its hard time limit, and doesn't end when it is cancelled, at" in endless.stderr
    assert "(sleep); the process" in endless.stderr


@pytest.mark.database("own")
@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize("pool", ["prefork", "threads"])
@pytest.mark.timeout(120)
async def test_a_handler_that_blocks_its_loop_costs_one_attempt_and_one_process(
    container: Container, settings: Settings, database_url: str, tmp_path: Path, pool: str
) -> None:
    with broker_variables("embedded") as variables:
        variables |= {
            "DATABASE_URL": database_url,
            "GATEHOUSE_VAR_DIR": str(tmp_path),
            "GATEHOUSE_OUTBOX__LEASE": "8",  # the process ends after half of it; what is left is a slow machine's
        }
        queue = {"queue": variables["GATEHOUSE_WORKER__QUEUE"]}
        here = settings.model_copy(update={"worker": settings.worker.model_validate(queue)})
        with worker(tmp_path, f"--pool={pool}", "--concurrency=1", **variables) as process:
            before = process.children()
            async with running(Container(settings=here)) as client:
                with acting_as(SYSTEM):
                    async with client.transaction()():
                        blocking = await client.outbox_service().append(BLOCK, {})
                    assert await client.outbox_relay().relay() == 1
                    if pool == "prefork":
                        await until(lambda: not any(map(exists, before)), within=60, pause=0.1)
                        left = await client.outbox_service().get(blocking.id)  # it is due again at its lease's end
                        async with client.transaction()():
                            message = await client.outbox_service().append(EFFECT, {"name": "after"})
                        await client.outbox_relay().relay()

                        async def done() -> bool:
                            return bool(await client.inbox_dao().done([message.id]))

                        await until(done, within=60, pause=0.1)
                    else:
                        assert await asyncio.to_thread(process.process.wait, 60) == EXIT_CODE
                        left = await client.outbox_service().get(blocking.id)
            assert left.attempts == 1
        log = process.log.read_text()
    assert "the event loop hangs for 4 s" in log
    assert "tests/app/worker/application.py:" in log
    assert "(block); the process ends itself" in log

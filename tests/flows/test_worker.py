"""`gatehouse worker`: a Celery worker and a relay, from one command, and nothing left of either when it ends."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from containers import Container
from tests.app.worker.processes import WorkerProcess, exists, gatehouse_worker
from tests.patience import until
from tests.services.messages import welcomed

pytestmark = pytest.mark.database("own")


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.timeout(240)
async def test_who_registers_is_welcomed_and_sigterm_leaves_nothing_behind(
    container: Container, database_url: str, tmp_path: Path
) -> None:
    # A queue of a topic's own: by default a worker takes from all of them.
    topics = '{"user.registered": {"queue": "mails", "soft_time_limit": 20}}'
    variables = {
        "DATABASE_URL": database_url,
        "GATEHOUSE_VAR_DIR": str(tmp_path),
        "GATEHOUSE_OUTBOX__TOPICS": topics,
    }
    with gatehouse_worker(tmp_path, "--concurrency", "1", **variables) as process:
        await welcomed(container)
        told = tmp_path / "notifications"
        await until(lambda: any(told.glob("*.json")), within=100, pause=0.2)
        workers = process.children()
        await asyncio.to_thread(process.end, within=100)
    assert workers
    assert not [pid for pid in workers if exists(pid)]
    assert (await container.outbox_service().lag()).waiting == 0


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.timeout(240)
async def test_the_end_of_beat_is_noticed_and_a_second_sigterm_leaves_no_process_of_a_worker_that_does_not_end(
    container: Container, database_url: str, tmp_path: Path
) -> None:
    variables = {"DATABASE_URL": database_url, "GATEHOUSE_VAR_DIR": str(tmp_path / "var" / "new")}
    with gatehouse_worker(tmp_path, "--concurrency", "1", "--no-relay", "--beat", **variables) as process:
        await until(lambda: " ready." in process.log.read_text(), within=100, pause=0.2)
        started = process.children()
        commands = {pid: _command(pid) for pid in started}
        (beat,) = (pid for pid, command in commands.items() if "beat" in command)
        (worker,) = (pid for pid, command in commands.items() if "worker" in command)
        everybody = [*started, *WorkerProcess(_Pid(worker), process.log).children()]  # type: ignore[arg-type]
        os.kill(worker, signal.SIGSTOP)
        os.kill(beat, signal.SIGKILL)
        said = "error: the beat ended by itself, with code -9"
        await until(lambda: said in process.log.read_text(), within=10, pause=0.1)
        process.process.terminate()
        await asyncio.sleep(0.5)
        assert process.process.poll() is None, "it waits for the worker's tasks"
        process.process.terminate()
        assert await asyncio.to_thread(process.process.wait, 20) == 1
        await until(lambda: not any(map(exists, everybody)), within=10)
    assert "killed: what was under way is delivered again" in process.log.read_text()
    assert len(everybody) > 2
    assert _modes(tmp_path / "var" / "new") == {0o600}, (
        "beat's schedule is in a folder that is made, for its owner alone"
    )


def _command(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")


def _modes(folder: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in folder.glob("beat*")}


class _Pid:
    """As much of a process as `children` wants."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

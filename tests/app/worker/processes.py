"""Workers as processes: started, waited for, and ended, whatever becomes of the test."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from celery import Celery

from services.messaging.broker import Broker
from tests.flows.server import environment

BAD: tuple[str, ...] = (
    "never retrieved",
    "never awaited",
    "Event loop is closed",
    "attached to a different loop",
    "another event loop",
    "ResourceWarning",
    "Unclosed",
)
"""What no log may hold."""


class WorkerProcess(NamedTuple):
    """A worker that runs, and where it writes."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def children(self) -> list[int]:
        """The processes that its threads have started."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for thread in threads for pid in thread.read_text().split()]

    def end(self, number: signal.Signals = signal.SIGTERM, within: float = 40) -> float:
        """Tell it to stop; the seconds it took. It must end with code 0, and its log must be clean."""
        begun = time.perf_counter()
        self.process.send_signal(number)
        code = self.process.wait(within)
        took = time.perf_counter() - begun
        assert code == 0, (code, self.log.read_text())
        assert self.complaints() == []
        return took

    def complaints(self) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if any(bad in line for bad in BAD)]


@contextmanager
def worker(
    folder: Path,
    *arguments: str,
    program: Sequence[str] = ("celery", "-A", "tests.app.worker.application"),
    **variables: str,
) -> Iterator[WorkerProcess]:
    """A worker that takes tasks. At the end of the block nothing of it is left, also when the block fails."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"worker{time.monotonic_ns()}.log"
    command = [sys.executable, "-X", "dev", "-W", "ignore::DeprecationWarning", "-m", *program, "worker"]
    arguments = ("--loglevel=INFO", "--without-gossip", "--without-mingle", "--without-heartbeat", *arguments)
    with (
        log.open("w") as output,
        subprocess.Popen(
            [*command, *arguments],
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        ) as process,
    ):
        running = WorkerProcess(process, log)
        try:
            _until_ready(running)
            yield running
        finally:
            kill_group(process)


def _until_ready(worker: WorkerProcess) -> None:
    for _ in range(600):
        if " ready." in worker.log.read_text():
            return
        if worker.process.poll() is not None:
            break
        time.sleep(0.1)
    raise AssertionError(worker.log.read_text())


@contextmanager
def gatehouse_worker(folder: Path, *arguments: str, **variables: str) -> Iterator[WorkerProcess]:
    """`gatehouse worker`, which has its Celery worker in a session of its own. Nothing is left of either."""
    log = folder / "gatehouse.log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [sys.executable, "-m", "app", "worker", *arguments],
            env=environment(**variables),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        ) as process,
    ):
        running = WorkerProcess(process, log)
        workers: list[int] = []
        try:
            yield running
        finally:
            if process.poll() is None:
                workers = running.children()
            kill_group(process)
            for pid in workers:
                if exists(pid):
                    os.killpg(pid, signal.SIGKILL)


def exists(pid: int) -> bool:
    """Whether there is such a process."""
    return Path(f"/proc/{pid}").exists()


def kill_group(process: "subprocess.Popen[bytes]") -> None:
    """SIGKILL to all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait(10)


@contextmanager
def sender(broker: Broker) -> Iterator[Any]:
    """A Celery application that sends tasks by name, and waits for what they return."""
    application = Celery("tests", set_as_current=False)
    application.conf.update(broker.options())
    try:
        yield application
    finally:
        application.close()

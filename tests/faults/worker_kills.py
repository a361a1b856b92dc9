"""WorkerKills: workers and relays are killed (SIGKILL) while messages are committed, and what must be true after."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from containers import Container
from tests.app.worker.application import EFFECT
from tests.app.worker.processes import WorkerProcess, kill_group, worker
from tests.flows.server import environment
from tests.patience import until
from unitwork.models import SYSTEM, acting_as

DRAINED_WITHIN: Final = 400.0
"""Seconds. A message that was published again and again is so after two minutes only."""
PAUSE: Final = 0.3
"""Seconds between two messages: a backlog is not what is looked at."""


class _RolledBackError(Exception):
    pass


class WorkerKills:
    """A writer commits messages, and rolls some back, without a pause; meanwhile processes are killed one by one."""

    def __init__(self, container: Container, folder: Path, **variables: str) -> None:
        self.seed = random.SystemRandom().getrandbits(32)
        self._random = random.Random(self.seed)
        self._container = container
        self._folder = folder
        self._variables = variables | {
            "GATEHOUSE_OUTBOX__REDELIVER_AFTER": "2",
            "GATEHOUSE_OUTBOX__POLL_INTERVAL": "0.05",
            "GATEHOUSE_OUTBOX__MAX_ATTEMPTS": "1000",
        }
        self.kills: Counter[str] = Counter()
        self.committed: set[str] = set()
        self.rolled_back: set[str] = set()
        self._stack = ExitStack()
        self._worker: WorkerProcess | None = None
        self._relay: subprocess.Popen[bytes] | None = None

    async def run(self, kills: int) -> None:
        """So many kills, then until nothing waits any more."""
        over = asyncio.Event()
        with self._stack:
            self._start_relay()
            await asyncio.to_thread(self._start_worker)
            writer = asyncio.create_task(self._write(over))
            try:
                while self.kills.total() < kills or not (self.committed and self.rolled_back):
                    await asyncio.sleep(self._random.uniform(0, 0.4))
                    await asyncio.to_thread(self._kill)
            finally:
                over.set()
                await writer
            try:
                await until(self._nothing_waits, within=DRAINED_WITHIN, pause=0.2)
            except TimeoutError:
                waiting = (await self._container.outbox_service().list(limit=10)).items
                raise AssertionError([message.why_not_done() for message in waiting]) from None

    async def problems(self) -> list[str]:
        """What was lost, done twice, or done though it was rolled back."""
        names = Counter(await self._container.user_dao().query().scalars("display_name"))
        return (
            [f"lost: {name}" for name in sorted(self.committed - set(names))]
            + [f"done {count} times: {name}" for name, count in names.items() if count > 1]
            + [f"rolled back and done: {name}" for name in sorted(self.rolled_back & set(names))]
        )

    def __str__(self) -> str:
        kills = ", ".join(f"{count} of {what}" for what, count in sorted(self.kills.items()))
        return (
            f"seed {self.seed}: {self.kills.total()} kills ({kills}) while {len(self.committed)} messages were "
            f"committed and {len(self.rolled_back)} rolled back"
        )

    async def _write(self, over: asyncio.Event) -> None:
        number = 0
        with acting_as(SYSTEM):
            while not over.is_set():
                number += 1
                name = f"message {number}"
                try:
                    async with self._container.transaction()():
                        await self._container.outbox_service().append(EFFECT, {"name": name})
                        if number % 3 == 0:
                            raise _RolledBackError
                except _RolledBackError:
                    self.rolled_back.add(name)
                else:
                    self.committed.add(name)
                await asyncio.sleep(self._random.uniform(0, 2 * PAUSE))

    async def _nothing_waits(self) -> bool:
        return (await self._container.outbox_service().lag()).waiting == 0

    def _kill(self) -> None:
        """A process of the pool, mostly; the relay; the whole worker."""
        assert self._worker is not None
        assert self._relay is not None
        # With the embedded broker the pool shares a lock, which a process that is killed alone may never give back.
        alone = 12 if "GATEHOUSE_WORKER__BROKER_URL" in self._variables else 0
        what = self._random.choices(("pool processes", "relays", "workers"), (alone, 7, 1))[0]
        if what == "pool processes":
            children = self._worker.children()
            if not children:
                return
            with suppress(ProcessLookupError):
                os.kill(self._random.choice(children), signal.SIGKILL)
        elif what == "relays":
            self._relay.kill()
            self._relay.wait(10)
            self._start_relay()
        else:
            kill_group(self._worker.process)
            self._start_worker()
        self.kills[what] += 1

    def _start_worker(self) -> None:
        self._worker = self._stack.enter_context(
            worker(self._folder, "--pool=prefork", "--concurrency=2", **self._variables)
        )

    def _start_relay(self) -> None:
        self._relay = subprocess.Popen(
            [sys.executable, "-m", "app", "outbox", "relay"],
            env=environment(**self._variables),
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._stack.callback(_ended, self._relay)


def _ended(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait(10)

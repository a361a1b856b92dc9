"""Load: clients that have units written one after the other, and keep what they were told."""

import asyncio
import collections
import random
import time
from types import TracebackType
from typing import Self

import httpx2

from tests.patience import until


class Load:
    """So many clients, until the block ends or the server is gone. Units have names that begin with `label`."""

    def __init__(self, address: str, label: str, *, clients: int = 8, seed: int) -> None:
        self._address = address
        self._label = label
        self._clients = clients
        self._random = random.Random(seed)
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped = False
        self.sent: set[str] = set()
        self.answered: set[str] = set()
        self.statuses: collections.Counter[int] = collections.Counter()
        self.failures: list[tuple[float, httpx2.Response]] = []
        """The answers other than 200, and when they came."""

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._client(number)) for number in range(self._clients)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped = True
        await asyncio.gather(*self._tasks)

    async def answers(self, count: int) -> None:
        """Wait for so many units to be answered."""
        await until(lambda: len(self.answered) >= count, within=60)

    async def _client(self, number: int) -> None:
        async with httpx2.AsyncClient(base_url=self._address, timeout=30, trust_env=False) as client:
            for count in range(1_000_000):
                unit = f"{self._label}-{number}-{count}"
                self.sent.add(unit)
                try:
                    answer = await client.post(f"/units/{unit}", params={"seconds": self._random.random() / 100})
                except httpx2.TransportError:
                    return
                self.statuses[answer.status_code] += 1
                if answer.status_code == 200:
                    self.answered.add(unit)
                else:
                    self.failures.append((time.perf_counter(), answer))
                    await asyncio.sleep(0.02)
                if self._stopped:
                    return

    def __str__(self) -> str:
        return f"{len(self.sent)} units sent, {len(self.answered)} answered; statuses {dict(self.statuses)}"

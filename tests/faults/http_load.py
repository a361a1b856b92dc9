"""HttpLoad: clients that read and write over HTTP without a pause, and what each was answered and when."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2


@dataclass(frozen=True)
class Answer:
    """One answer; `code` is its problem document's, `begun` and `at` by the monotonic clock."""

    begun: float
    at: float
    path: str
    status: int
    code: str
    headers: Mapping[str, str]


class HttpLoad:
    """Started by `start`, ended by `stop`; the client is an admin's."""

    def __init__(self, client: httpx2.AsyncClient, *, workers: int = 4) -> None:
        self._client = client
        self._workers = workers
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.answers: list[Answer] = []
        self.created: set[str] = set()
        """The ids of what was answered 201."""

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._work(number)) for number in range(self._workers)]
        self._tasks.append(asyncio.create_task(self._probe()))

    async def stop(self) -> None:
        """Raises what a client raised: answers are answers, everything else is a fault of the application."""
        self._over.set()
        await asyncio.gather(*self._tasks)

    async def ask(self, method: str, path: str, json: Any = None) -> None:
        """One request, noted."""
        begun = time.monotonic()
        response = await self._client.request(method, path, json=json)
        problem = response.headers.get("content-type") == "application/problem+json"
        code = response.json()["code"] if problem else ""
        headers = {name.lower(): value for name, value in response.headers.items()}
        self.answers.append(Answer(begun, time.monotonic(), path, int(response.status_code), code, headers))
        if response.status_code == 201:
            self.created.add(response.json()["id"])

    async def _work(self, number: int) -> None:
        turn = 0
        while not self._over.is_set():
            turn += 1
            await self.ask("GET", "/v1/users?limit=1")
            await self.ask("POST", "/v1/users", {"email": f"user{number}x{turn}@example.com"})
            await asyncio.sleep(0.005)

    async def _probe(self) -> None:
        while not self._over.is_set():
            await self.ask("GET", "/health/live")
            await self.ask("GET", "/health/ready")
            await asyncio.sleep(0.02)

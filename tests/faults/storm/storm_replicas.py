"""5,000 journeys over two processes of the API, a worker, and a replica half a second late: nothing stale."""

import asyncio
import json
import random
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from app.api.read_positions import COOKIE, POSITION, READ_FROM
from tests.faults.fixtures import Pair
from tests.faults.http_client import HttpAnswer, HttpClient
from tests.flows.server import command, environment, server_process, until_listening

JOURNEYS: Final = 5_000
CLIENTS: Final = 12
REPLAYS_LATER_MS: Final = 500
EACH_BY_WORKER: Final = 50
"""One journey of so many is a file that a worker imports."""
RATES: Final = ("login_account", "login_address", "register_account", "register_address", "import_account")


@dataclass
class Seen:
    """Results of the journeys."""

    journeys: int = 0
    by_worker: int = 0
    stale: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    served: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return (
            f"{self.journeys} journeys, {self.by_worker} of them by the worker: {self.stale.total()} stale "
            f"{dict(self.stale)}, errors {dict(self.errors)}, reads served by {dict(self.served)}"
        )


class Journey:
    """One client's journeys: each writes at one process and reads at the other one."""

    def __init__(self, addresses: tuple[str, str], token: str, seen: Seen, seed: int) -> None:
        self._clients = [HttpClient(address, token) for address in addresses]
        self._random = random.Random(seed)
        self._seen = seen

    async def run(self, count: int) -> None:
        for number in range(1, count + 1):
            self._clients.reverse()
            if number % EACH_BY_WORKER == 0:
                await self._by_worker()
            else:
                await self._by_api()
            self._seen.journeys += 1
        for client in self._clients:
            await client.close()

    async def _by_api(self) -> None:
        writer, reader = self._clients
        made = await writer.ask("POST", "/v1/users", {"email": f"{uuid.uuid4().hex}@example.com"})
        if made.status != 201:
            self._seen.errors[f"create {made.status} {made.code}"] += 1
            return
        path = f"/v1/users/{_json(made)['id']}"
        await self._read(reader, path, made, "new")
        name = uuid.uuid4().hex
        changed = await writer.ask("PATCH", path, {"display_name": name}, If_Match=made.headers["etag"])
        if changed.status != 200:
            self._seen.errors[f"change {changed.status} {changed.code}"] += 1
            return
        found = await self._read(reader, path, changed, "changed")
        if found is not None and _json(found)["display_name"] != name:
            self._seen.stale["changed"] += 1

    async def _read(self, reader: HttpClient, path: str, told: HttpAnswer, kind: str) -> HttpAnswer | None:
        token = told.headers[POSITION.lower()]
        carried = {POSITION: token} if self._random.random() < 0.5 else {"Cookie": f"{COOKIE}={token}"}
        found = await reader.ask("GET", path, **carried)
        self._seen.served[found.headers.get(READ_FROM.lower(), "nobody")] += 1
        if found.status == 404:
            self._seen.stale[kind] += 1
        elif found.status != 200:
            self._seen.errors[f"read {found.status} {found.code}"] += 1
        return found if found.status == 200 else None

    async def _by_worker(self) -> None:
        first, second = self._clients
        email = f"{uuid.uuid4().hex}@example.com"
        file = f"email,display_name\n{email},x\n".encode()
        stored = await first.ask("POST", "/v1/users/import", file, Prefer="respond-async", Content_Type="text/csv")
        if stored.status != 202:
            self._seen.errors[f"import {stored.status} {stored.code}"] += 1
            return
        path, told = stored.headers["location"], stored
        for _ in range(600):
            job = await self._read(second, path, told, "job")
            if job is None:
                return
            told = job
            if _json(job)["finished_at"] is not None:
                break
            await asyncio.sleep(0.1)
        token = {POSITION: told.headers[POSITION.lower()]}
        found = await first.ask("GET", f"/v1/users?email={email}", **token)
        self._seen.by_worker += 1
        if found.status != 200 or len(_json(found)["items"]) != 1:
            self._seen.stale["by worker"] += 1


def _json(answer: HttpAnswer) -> dict[str, Any]:

    document: dict[str, Any] = json.loads(answer.body)
    return document


@contextmanager
def a_worker(folder: Path, **variables: str) -> Iterator[None]:
    with (folder / "worker.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "worker"],
            env=environment(**variables),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.mark.timeout(1800)
async def test_no_journey_reads_less_than_was_stored(pair: Pair, tmp_path: Path, seed: int, share: float) -> None:
    pair.standby.configure(recovery_min_apply_delay=f"{REPLAYS_LATER_MS}ms")
    await pair.standby.ask("SELECT pg_reload_conf()")
    variables = {
        "DATABASE_URL": pair.primary.url(),
        "GATEHOUSE_DATABASE__REPLICA_URLS": pair.standby.url(),
        "GATEHOUSE_VAR_DIR": str(tmp_path),
        "GATEHOUSE_SECRET_KEY": "x" * 40,
        "GATEHOUSE_WORKER__POOL": "threads",
        "GATEHOUSE_OUTBOX__POLL_INTERVAL": "0.1",
        "LOG_LEVEL": "WARNING",
        "PYTHONWARNINGS": "default",
    }
    for arguments in (("db", "upgrade"), ("users", "create", "--email", "root@example.com", "--role", "admin")):
        done = await asyncio.to_thread(command, *arguments, **variables)
        assert done.returncode == 0, done.stderr
    issued = await asyncio.to_thread(command, "tokens", "issue", "root@example.com", **variables)
    token = issued.stdout.split()[-1]
    await pair.standby.caught_up()
    with ExitStack() as stack:
        addresses = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            addresses.append(stack.enter_context(server_process(tmp_path / name, **variables)).address)
        stack.enter_context(a_worker(tmp_path, **variables))
        for address in addresses:
            await asyncio.to_thread(until_listening, address)
        seen, each = Seen(), max(int(JOURNEYS * share) // CLIENTS, EACH_BY_WORKER)
        await asyncio.gather(
            *(
                Journey((addresses[n % 2], addresses[1 - n % 2]), token, seen, seed + n).run(each)
                for n in range(CLIENTS)
            )
        )
        print(f"\nseed {seed}: {seen}")
        if seen.errors:
            print("".join((tmp_path / name / "server.err").read_text() for name in ("one", "two")))
        assert (seen.stale.total(), seen.errors.total()) == (0, 0)
        assert seen.by_worker == CLIENTS * (each // EACH_BY_WORKER)

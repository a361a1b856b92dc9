"""Attacks of one anonymous client, half a minute each: probes, an owner's login and memory meanwhile.

GATEHOUSE_TEST_STORM takes a share of the seconds.
"""

import asyncio
import itertools
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from containers import Container, running
from settings import Settings
from tests.conftest import ROOT
from tests.faults.attacks import ATTACKS
from tests.faults.http_client import HttpAnswer, HttpClient
from tests.flows.server import ServerProcess, environment, server_process, until_listening
from unitwork.models import SYSTEM, acting_as

SECONDS = 30.0
QUIET_SECONDS = 8.0
TIMES = 3.0
LEAST = 0.005
"""Seconds; what two processes on one machine do to each other's pauses."""
MEMORY = 64 * 1024 * 1024
PASSWORD = "correct horse battery"
OWNERS = [f"owner{number or ''}@example.com" for number in range(8)]
"""Each logs in less often than limits allow; the first one is the attacked account."""


def resident(server: ServerProcess) -> int:
    """Bytes of the server's memory."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


class Watch:
    """Probes and logins from another address than the attacker's."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._owners = itertools.cycle(OWNERS)
        self.live: list[HttpAnswer] = []
        self.logins: list[HttpAnswer] = []
        self.memory = 0

    async def run(self, seconds: float) -> None:
        self.live, self.logins, self.memory = [], [], 0
        end = time.monotonic() + seconds
        await asyncio.gather(self._probe(end), self._log_in(end))

    async def _probe(self, end: float) -> None:
        client = HttpClient(self._server.address, source="127.0.0.2")
        while time.monotonic() < end:
            self.live.append(await client.ask("GET", "/health/live"))
            self.memory = max(self.memory, resident(self._server))
            await asyncio.sleep(0.05)
        await client.close()

    async def _log_in(self, end: float) -> None:
        client = HttpClient(self._server.address, source="127.0.0.2")
        while time.monotonic() < end:
            given = {"login": next(self._owners), "password": PASSWORD}
            self.logins.append(await client.ask("POST", "/v1/auth/login", given))
            await asyncio.sleep(1.5)
        await client.close()


def median(answers: list[HttpAnswer]) -> float:
    return statistics.median(answer.took for answer in answers)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ATTACKS)
async def test_an_anonymous_client_stops_nothing(database_url: str, tmp_path: Path, share: float, name: str) -> None:
    async with running(Container(settings=Settings(database={"url": database_url}, var_dir=tmp_path))) as container:
        with acting_as(SYSTEM):
            for owner in OWNERS:
                await container.user_service().create({"email": owner}, password=PASSWORD)
    with server_process(tmp_path, DATABASE_URL=database_url, GATEHOUSE_VAR_DIR=str(tmp_path)) as server:
        until_listening(server.address)
        watch = Watch(server)
        await watch.run(3)  # warm
        await watch.run(QUIET_SECONDS)
        quiet_live, quiet_login, quiet_memory = median(watch.live), median(watch.logins), watch.memory
        seconds = max(SECONDS * share, 5)
        attacker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.faults.attacks", name, server.address, str(seconds + 1)),
            cwd=ROOT,
            env=environment(),
        )
        await asyncio.sleep(1)
        await watch.run(seconds)
        assert await attacker.wait() == 0
        grown = watch.memory - quiet_memory
        statuses = Counter(answer.status for answer in (*watch.live, *watch.logins))
        print(
            f"\n{name}: live {quiet_live * 1000:.1f} -> {median(watch.live) * 1000:.1f} ms (median), "
            f"owner's login {quiet_login * 1000:.0f} -> {median(watch.logins) * 1000:.0f} ms, "
            f"memory {grown / 2**20:+.1f} MB, answers {dict(statuses)}"
        )
        errors = server.err.read_text()
    assert set(statuses) == {200}
    assert median(watch.live) <= max(TIMES * quiet_live, LEAST)
    assert median(watch.logins) <= TIMES * quiet_login
    assert grown <= MEMORY
    assert "unexpected error" not in errors
    assert "Traceback" not in errors

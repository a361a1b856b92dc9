"""Two hundred clients that each hold a connection for two seconds, again and again; logins, reads, probes beside them.

GATEHOUSE_TEST_STORM takes a share of the seconds. PostgreSQL alone: SQLite has one writer, and a login writes too.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest

from containers import Container, running
from domain import Role
from settings import Settings
from tests.conftest import ROOT
from tests.faults.http_client import HttpAnswer, HttpClient
from tests.faults.percentiles import percentile, percentiles
from tests.flows.server import environment, server_process, until_listening
from unitwork.models import SYSTEM, acting_as
from unitwork.testing.servers.databases import Databases

SLOW_CLIENTS = 200
SECONDS = 20.0
WAIT = 2.0
"""`HTTP__MAX_WAIT`'s default."""
LATE = 0.1
TIMES = 2.0
LEAST = 0.02
"""Seconds; below it a machine's own pauses are larger than what is measured."""
PASSWORD = "correct horse battery"
SLEEPS = """
CREATE FUNCTION sleeps() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(2); RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE UPDATE ON users FOR EACH ROW WHEN (NEW.display_name LIKE 'slow%') EXECUTE FUNCTION sleeps();
"""


class Told(NamedTuple):
    """Answer to a slow client."""

    status: int
    code: str
    retry_after: str
    took: float


@dataclass
class Beside:
    """Quick traffic: every answer of each kind."""

    address: str
    token: str
    user: str
    answers: dict[str, list[HttpAnswer]] = field(default_factory=dict)

    async def run(self, seconds: float) -> None:
        """Ask for so long."""
        self.answers = {}
        kinds = [("login", 0.1)] * 2 + [("read", 0.05)] * 4 + [("ready", 0.2)] + [("live", 0.05)]
        await asyncio.gather(*(self._ask(kind, pause, time.monotonic() + seconds) for kind, pause in kinds))

    async def _ask(self, kind: str, pause: float, end: float) -> None:
        client = HttpClient(self.address, None if kind == "login" else self.token)
        while time.monotonic() < end:
            if kind == "login":
                given = {"login": "quick@example.com", "password": PASSWORD}
                answer = await client.ask("POST", "/v1/auth/login", given)
            else:
                path = f"/v1/users/{self.user}" if kind == "read" else f"/health/{kind}"
                answer = await client.ask("GET", path)
            self.answers.setdefault(kind, []).append(answer)
            await asyncio.sleep(pause)
        await client.close()

    def seconds(self, kind: str) -> list[float]:
        return [answer.took for answer in self.answers[kind]]


async def slow_clients(server: str, token: str, users: list[str], seconds: float) -> list[Told]:
    """Let a client for each account go on for so long, and return their answers."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.slow_clients"),
        cwd=ROOT,
        env=environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    given = json.dumps({"address": server, "token": token, "users": users, "seconds": seconds})
    out, _ = await process.communicate(f"{given}\n".encode())
    assert process.returncode == 0
    return [Told(*answer) for answer in json.loads(out)]


@pytest.mark.timeout(600)
async def test_slow_requests_take_nothing_that_logins_reads_and_probes_need(
    databases: Databases, tmp_path: Path, share: float
) -> None:
    url = databases.create("postgresql")
    async with running(Container(settings=Settings(database={"url": url}))) as container:
        async with container.engine().begin() as connection:
            for statement in SLEEPS.strip().splitlines():
                await connection.exec_driver_sql(statement)
        with acting_as(SYSTEM):
            users = container.user_service()
            admin = await users.create({"email": "root@example.com", "role": Role.ADMIN})
            quick = await users.create({"email": "quick@example.com"}, password=PASSWORD)
            slow = [await users.create({"email": f"slow{number}@example.com"}) for number in range(SLOW_CLIENTS)]
            token = (await container.auth_service().issue(admin.id))[1]
    off = {f"GATEHOUSE_RATE_LIMITS__{name.upper()}": "off" for name in Settings().rate_limits.rates}
    with server_process(tmp_path, DATABASE_URL=url, GATEHOUSE_VAR_DIR=str(tmp_path), **off) as server:
        until_listening(server.address)
        beside = Beside(server.address, token, str(quick.id))
        await beside.run(2)  # warm
        await beside.run(max(SECONDS * share, 5))
        before = {kind: beside.seconds(kind) for kind in beside.answers}
        longest = max(SECONDS * share, 5)
        slow_ones = asyncio.create_task(
            slow_clients(server.address, token, [str(user.id) for user in slow], longest + 1.5)
        )
        await asyncio.sleep(1.5)
        await beside.run(longest)
        answers = await slow_ones
    for kind, seconds in before.items():
        print(f"\n{kind:6} unloaded {percentiles(seconds)}; beside {percentiles(beside.seconds(kind))}", end="")
    statuses = Counter((answer.status, answer.code) for answer in answers)
    refused = [answer for answer in answers if answer.status != 200]
    print(f"\nslow ones: {dict(statuses)}; refused: {percentiles([answer.took for answer in refused])}")
    for kind, seconds in before.items():
        assert {answer.status for answer in beside.answers[kind]} == {200}, kind
        loaded = percentile(beside.seconds(kind), 99)
        assert loaded <= max(TIMES * percentile(seconds, 99), LEAST), kind
    assert {answer.status for answer in refused} == {503}
    assert all(int(answer.retry_after) >= 1 for answer in refused)
    assert percentile([answer.took for answer in refused], 99) <= WAIT + LATE
    assert statuses[200, ""] >= 9

"""Outages, seen through HTTP by a server's clients: what they are told meanwhile, and when all is well again."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from containers import Container, running
from settings import Settings
from tests.app.api.problem_document import READINESS, assert_problem
from tests.faults.ledger import create_ledger, parts_stored
from tests.faults.private_postgresql import PrivatePostgresql, Shutdown
from tests.flows.ledger_load import Load
from tests.flows.server import server_process, until_listening
from tests.patience import until_ready

LEDGER = ("-m", "tests.flows.ledger_application")
RECOVERED_WITHIN = 1.0
READY_WITHIN = 1.0


@dataclass
class Probe:
    """Asks both health addresses again and again, and keeps what they answered and how long they took."""

    client: httpx2.AsyncClient
    live: Counter[int] = field(default_factory=Counter)
    ready: list[tuple[float, httpx2.Response]] = field(default_factory=list)
    slowest: float = 0.0

    async def run(self) -> None:
        while True:
            self.live[(await self.client.get("/health/live")).status_code] += 1
            begun = time.perf_counter()
            answer = await self.client.get("/health/ready")
            self.slowest = max(self.slowest, time.perf_counter() - begun)
            self.ready.append((begun, answer))
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("shutdown", ["fast", "immediate"])
async def test_a_restart_is_answered_503_and_is_over_as_soon_as_the_database_is_up(
    private_postgresql: PrivatePostgresql,
    private_settings: Callable[..., Settings],
    tmp_path: Path,
    shutdown: Shutdown,
) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print("seed", seed)
    settings = private_settings()
    async with running(Container(settings=settings)) as container:
        await container.schema().upgrade()
        await create_ledger(container)
    url = private_postgresql.url(settings.database.url.database or "")
    with server_process(tmp_path, program=LEDGER, DATABASE_URL=url, GATEHOUSE_VAR_DIR=str(tmp_path)) as server:
        until_listening(server.address)
        async with httpx2.AsyncClient(base_url=server.address, timeout=30, trust_env=False) as client:
            probe = Probe(client)
            async with Load(server.address, shutdown, seed=seed) as load:
                probing = asyncio.create_task(probe.run())
                await load.answers(50)
                down = time.perf_counter()
                await asyncio.to_thread(private_postgresql.stop, shutdown)
                stopped = time.perf_counter()
                await asyncio.sleep(1)
                starting = time.perf_counter()
                await asyncio.to_thread(private_postgresql.start)
                up = time.perf_counter()
                await asyncio.sleep(RECOVERED_WITHIN)
                await load.answers(len(load.answered) + 50)
                assert not probing.done()
                probing.cancel()
                with suppress(asyncio.CancelledError):
                    await probing
    last = max(at for at, _ in load.failures) - up
    print(load, f"down {up - down:.2f} s; last failure {last:+.2f} s after it was up")
    assert last <= RECOVERED_WITHIN
    for _, answer in load.failures:
        assert_problem(answer, answer.status_code, answer.json()["code"])
        if answer.status_code == 503:
            assert answer.headers["retry-after"]
    assert set(load.statuses) <= {200, 503, 500}
    assert {answer.json()["code"] for _, answer in load.failures if answer.status_code == 500} <= {"outcome_unknown"}
    assert set(probe.live) == {200}, "alive all the time"
    during = [answer for at, answer in probe.ready if stopped < at < starting]
    assert during
    for answer in during:
        assert_problem(answer, 503, "database_unreachable", facts=READINESS)
        assert answer.headers["retry-after"]
    assert probe.ready[-1][1].status_code == 200
    print(f"the slowest readiness took {probe.slowest * 1000:.0f} ms")
    assert probe.slowest <= READY_WITHIN
    async with running(Container(settings=settings)) as container:
        stored = await parts_stored(container)
    assert set(stored.values()) == {2}
    assert load.answered <= set(stored)


async def test_idle_through_a_restart_the_first_request_after_it_is_answered(
    private_postgresql: PrivatePostgresql, private_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = private_settings()
    async with running(Container(settings=settings)) as container:
        await container.schema().upgrade()
        await create_ledger(container)
    url = private_postgresql.url(settings.database.url.database or "")
    with server_process(tmp_path, program=LEDGER, DATABASE_URL=url, GATEHOUSE_VAR_DIR=str(tmp_path)) as server:
        until_listening(server.address)
        async with httpx2.AsyncClient(base_url=server.address, timeout=30, trust_env=False) as client:
            await asyncio.gather(*(client.post(f"/units/before{n}", params={"seconds": 0.2}) for n in range(5)))
            await asyncio.to_thread(private_postgresql.stop, "fast")
            await asyncio.to_thread(private_postgresql.start)
            answers = await asyncio.gather(*(client.post(f"/units/after{n}") for n in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5


@pytest.mark.parametrize("whole", [True, False])
async def test_a_hung_database_is_told_in_time(
    private_postgresql: PrivatePostgresql, private_settings: Callable[..., Settings], tmp_path: Path, whole: bool
) -> None:
    """`whole`: the server takes no connections either; else only the backends of the pool hang."""
    settings = private_settings()
    name = settings.database.url.database or ""
    async with running(Container(settings=settings)) as container:
        await container.schema().upgrade()
        await create_ledger(container)
    url = private_postgresql.url(name)
    with server_process(tmp_path, program=LEDGER, DATABASE_URL=url, GATEHOUSE_VAR_DIR=str(tmp_path)) as server:
        until_listening(server.address)
        async with httpx2.AsyncClient(base_url=server.address, timeout=30, trust_env=False) as client:
            await asyncio.gather(*(client.post(f"/units/before{n}", params={"seconds": 0.2}) for n in range(3)))
            for pid in await private_postgresql.backends(name):
                private_postgresql.freeze(pid)
            if whole:
                private_postgresql.freeze(private_postgresql.postmaster)
            slowest = 0.0
            for _ in range(5):
                begun = time.perf_counter()
                ready = await client.get("/health/ready")
                slowest = max(slowest, time.perf_counter() - begun)
                if whole:
                    assert_problem(ready, 503, "database_unreachable", facts=READINESS)
            alive = []
            for _ in range(3):
                begun = time.perf_counter()
                assert (await client.get("/health/live")).status_code == 200
                alive.append(time.perf_counter() - begun)
            assert min(alive) < 0.1
            print(f"the slowest readiness took {slowest * 1000:.0f} ms")
            assert slowest <= READY_WITHIN
            private_postgresql.thaw_all()
            await until_ready(client)


async def test_backends_killed_under_requests_make_no_half_units_and_no_lies(
    private_postgresql: PrivatePostgresql, private_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print("seed", seed)
    victims = random.Random(seed)
    settings = private_settings()
    name = settings.database.url.database or ""
    async with running(Container(settings=settings)) as container:
        await container.schema().upgrade()
        await create_ledger(container)
    killed = 0
    url = private_postgresql.url(name)
    with server_process(tmp_path, program=LEDGER, DATABASE_URL=url, GATEHOUSE_VAR_DIR=str(tmp_path)) as server:
        until_listening(server.address)
        async with Load(server.address, "killed", seed=seed) as load:
            while killed < 20:
                await load.answers(len(load.answered) + 10)
                pids = await private_postgresql.backends(name)
                killed += await private_postgresql.terminate(victims.choice(pids)) if pids else 0
            await load.answers(len(load.answered) + 50)
    print(load, f"{killed} backends killed")
    for _, answer in load.failures:
        # Killed while it committed: then nobody says more than is known.
        code = answer.json()["code"]
        assert code in {"outcome_unknown", "try_again", "unavailable"}  # the last one: killed while it was opened
        assert_problem(answer, 500 if code == "outcome_unknown" else 503, code)
        assert ("retry-after" in answer.headers) is (answer.status_code == 503)
    async with running(Container(settings=settings)) as container:
        stored = await parts_stored(container)
    assert set(stored.values()) == {2}
    assert load.answered <= set(stored)

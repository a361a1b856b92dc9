"""The broker is down for 10 s while accounts register: nothing is lost, nobody waits, the backlog drains."""

import asyncio
import time
from contextlib import ExitStack
from pathlib import Path
from shutil import which

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select

from app.api import create_app
from containers import Container, running
from domain import InboxMessage
from settings import Settings
from settings.rate_limits import RateLimitSettings
from tests.app.worker.processes import worker
from tests.app.worker.redis_server import RedisServer
from tests.faults.percentiles import percentiles
from tests.patience import until
from unitwork.models import SYSTEM, acting_as

DOWN = 10.0


@pytest.mark.skipif(which("redis-server") is None, reason="there is no redis-server to start")
async def test_an_outage_of_the_broker_costs_nothing_but_time(
    settings: Settings, database_url: str, tmp_path: Path
) -> None:
    redis = RedisServer(tmp_path)
    url = f"redis://127.0.0.1:{redis.port}/0"
    outbox = {"redeliver_after": 5, "poll_interval": 0.1}
    here = settings.model_copy(
        update={
            "worker": settings.worker.model_validate({"broker_url": url}),
            "outbox": settings.outbox.model_validate(outbox),
            "rate_limits": RateLimitSettings(register_address="off", register_account="off"),
        }
    )
    variables = {"DATABASE_URL": database_url, "GATEHOUSE_VAR_DIR": str(tmp_path), "GATEHOUSE_WORKER__BROKER_URL": url}
    with ExitStack() as stack:
        redis.start()
        stack.callback(redis.kill)
        await asyncio.sleep(1)
        stack.enter_context(worker(tmp_path, "--pool=prefork", "--concurrency=2", **variables))
        async with running(Container(settings=here)) as container:
            relay = asyncio.create_task(_relay(container))
            app = create_app(container)
            calm, answers = await _load(app, 6.0, 0)
            redis.kill()
            stormy, more = await _load(app, DOWN, len(calm))
            redis.start()
            after, rest = await _load(app, 4.0, len(calm) + len(stormy))
            answers += more + rest
            begun = time.perf_counter()

            async def drained() -> bool:
                return (await container.outbox_service().lag()).waiting == 0

            await until(drained, within=120, pause=0.2)
            took = time.perf_counter() - begun
            relay.cancel()
            await asyncio.wait((relay,))
            async with container.session_provider()(read_only=True) as session:
                done = await session.scalar(select(func.count()).select_from(InboxMessage))
            lag = await container.outbox_service().lag()
    welcomed = len(list((tmp_path / "notifications").glob("*.json")))
    print(f"{len(answers)} requests, {sum(status != 201 for status in answers)} not answered 201")
    print(f"before: {percentiles(calm)}")
    print(f"broker down {DOWN:g} s: {percentiles(stormy)}")
    print(f"after: {percentiles(after)}; backlog drained in {took:.1f} s; {done} done, {welcomed} welcomed, {lag}")
    assert set(answers) == {201}
    assert done == welcomed == len(answers)
    assert lag.parked == 0


async def _relay(container: Container) -> None:
    with acting_as(SYSTEM):
        await container.outbox_relay().run()


async def _load(app: FastAPI, seconds: float, first: int) -> tuple[list[float], list[int]]:
    latencies: list[float] = []
    statuses: list[int] = []
    until = time.perf_counter() + seconds
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client:
        while time.perf_counter() < until:
            number = first + len(latencies)
            body = {"email": f"user{number}@example.com", "password": "correct horse battery"}
            begun = time.perf_counter()
            response = await client.post("/v1/auth/register", json=body)
            latencies.append(time.perf_counter() - begun)
            statuses.append(response.status_code)
            await asyncio.sleep(0.02)
    return latencies, statuses

"""A pool whose connections are all taken: requests are told in time, and health doesn't queue behind them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from sqlalchemy import text

from app.api import create_app
from containers import Container, running
from domain import Role
from settings import Settings
from tests.app.api.problem_document import READINESS, assert_problem
from tests.patience import until_ready
from unitwork.connections.places import SHORTEST_WAIT_SHARE
from unitwork.models import SYSTEM, acting_as

pytestmark = pytest.mark.database("own")  # a pool of several connections is what is judged

POOL_TIMEOUT = 0.5
LATE = 0.1
HEALTH_WITHIN = 0.1
ROUNDS = 3
"""The quickest of so many shows what the service takes; the others show what else the machine was at."""


@pytest.fixture
async def small(settings: Settings) -> AsyncIterator[tuple[Container, httpx2.AsyncClient]]:
    """A pool of two, and a client that is an admin."""
    pool = settings.database.model_copy(update={"pool_size": 2, "max_overflow": 0, "pool_timeout": POOL_TIMEOUT})
    async with running(Container(settings=settings.model_copy(update={"database": pool}))) as container:
        with acting_as(SYSTEM):
            admin = await container.user_service().create({"email": "root@example.com", "role": Role.ADMIN})
            _, secret = await container.auth_service().issue(admin.id)
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(create_app(container)),
            base_url="http://test",
            headers={"Authorization": f"Bearer {secret}"},
        ) as client:
            yield container, client


@asynccontextmanager
async def all_taken(container: Container) -> AsyncIterator[None]:
    """Two slow units hold the two connections for the length of the block."""
    ready, release = asyncio.Barrier(3), asyncio.Event()

    async def hold() -> None:
        async with container.transaction()(read_only=True, name="slow") as transaction:
            await transaction.session.execute(text("SELECT 1"))
            await ready.wait()
            await release.wait()

    holders = [asyncio.create_task(hold()) for _ in range(2)]
    await ready.wait()
    try:
        yield
    finally:
        release.set()
        await asyncio.gather(*holders)


async def timed(client: httpx2.AsyncClient, path: str) -> tuple[float, httpx2.Response]:
    begun = time.perf_counter()
    answer = await client.get(path)
    took = time.perf_counter() - begun
    print(f"{answer.status_code} {path} {took * 1000:.0f} ms")
    return took, answer


async def test_a_request_is_answered_503_when_its_wait_is_over(
    small: tuple[Container, httpx2.AsyncClient],
) -> None:
    container, client = small
    slowest = []
    async with all_taken(container):
        for _ in range(ROUNDS):
            answers = await asyncio.gather(*(timed(client, "/v1/users") for _ in range(5)))
            for took, answer in answers:
                assert_problem(answer, 503, "overloaded")
                assert int(answer.headers["retry-after"]) >= 1
                assert took >= POOL_TIMEOUT * SHORTEST_WAIT_SHARE
            slowest.append(max(took for took, _ in answers))
    assert min(slowest) <= POOL_TIMEOUT + LATE
    assert (await client.get("/v1/users")).status_code == 200


async def test_health_answers_at_once_while_requests_queue(small: tuple[Container, httpx2.AsyncClient]) -> None:
    container, client = small
    await until_ready(client)
    async with all_taken(container):
        waiting = [asyncio.create_task(timed(client, "/v1/users")) for _ in range(5)]
        await asyncio.sleep(0)
        alive, readiness = [], []
        for _ in range(ROUNDS):
            took, live = await timed(client, "/health/live")
            assert live.status_code == 200
            alive.append(took)
            took, ready = await timed(client, "/health/ready")
            document = assert_problem(ready, 503, "pool_exhausted", facts=READINESS)
            assert (document["database"], document["pool_in_use"], document["pool_size"]) == ("unknown", 2, 2)
            assert ready.headers["retry-after"]
            readiness.append(took)
        assert min(alive) < HEALTH_WITHIN
        assert min(readiness) < HEALTH_WITHIN
        await asyncio.gather(*waiting)
    await until_ready(client)


async def test_a_pool_that_is_full_for_a_moment_is_ready(small: tuple[Container, httpx2.AsyncClient]) -> None:
    container, client = small
    async with all_taken(container):
        asking = asyncio.create_task(timed(client, "/health/ready"))
        await asyncio.sleep(0.01)
    assert (await asking)[1].status_code == 200

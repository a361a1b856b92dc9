"""The database is restarted under load: refusals with Retry-After meanwhile, and at once as before."""

import asyncio
import collections
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import httpx2
import pytest

from app.api import create_app
from app.api.health import ANSWERS_WITHIN
from containers import Container, running
from domain import Role
from settings import Settings
from tests.faults.http_load import Answer, HttpLoad
from tests.faults.leaks import in_use
from tests.faults.private_postgresql import PrivatePostgresql, Shutdown
from tests.faults.waiting import until
from unitwork.models import SYSTEM, acting_as

DOWN: Final = 1.0
RECOVERY: Final = 1.0
"""Seconds after which nothing may be refused any more."""
AFTERWARDS: Final = 1.5
PATIENCE: Final = 10.0


@pytest.mark.parametrize("shutdown", ["fast", "immediate"])
async def test_restarted_under_load_requests_are_refused_politely_and_then_answered(
    private_postgresql: PrivatePostgresql, private_settings: Callable[..., Settings], shutdown: Shutdown
) -> None:
    async with running(Container(settings=private_settings())) as container:
        async with _admin(container) as client:
            load = HttpLoad(client)
            load.start()
            await asyncio.sleep(0.5)
            await asyncio.to_thread(private_postgresql.stop, shutdown)
            down = time.monotonic()
            await asyncio.sleep(DOWN)
            starting = time.monotonic()
            await asyncio.to_thread(private_postgresql.start)
            up = time.monotonic()
            await asyncio.sleep(RECOVERY + AFTERWARDS)
            await until(lambda: _ready_since(up, load.answers), within=PATIENCE)
            await load.stop()
        last = max((answer.at - up for answer in load.answers if answer.status >= 500), default=0.0)
        kinds = collections.Counter((answer.status, answer.code) for answer in load.answers)
        print(f"{shutdown}: up again after {up - down:.2f} s, the last refusal {last:.2f} s after that; {kinds}")
        assert in_use(container.engine()) == 0
        stored = {str(user.id) for user in await container.user_dao().query().all()}

    assert load.created <= stored, "what was answered 201 is stored"
    _judge_the_outage([answer for answer in load.answers if down < answer.begun and answer.at < starting])
    assert {answer.status for answer in load.answers if answer.path == "/health/live"} == {200}
    others = {(answer.status, answer.code) for answer in load.answers if answer.status >= 400 and answer.status != 503}
    assert others <= {(500, "outcome_unknown")}
    assert _ready_since(up, load.answers)
    _judge_the_recovery([answer for answer in load.answers if answer.at > up + RECOVERY])


def _judge_the_outage(answers: list[Answer]) -> None:
    service = [answer for answer in answers if answer.path.startswith("/v1")]
    assert {answer.status for answer in service} == {503}
    assert {answer.headers["content-type"] for answer in service} == {"application/problem+json"}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in service)
    assert {answer.status for answer in answers if answer.path == "/health/ready"} == {503}


def _judge_the_recovery(answers: list[Answer]) -> None:
    """A machine without a free core may keep readiness from its answer for half a second: then red is the truth."""
    refused = [answer for answer in answers if answer.status >= 400]
    assert [answer for answer in refused if answer.path != "/health/ready"] == []
    assert [answer for answer in refused if answer.at - answer.begun < ANSWERS_WITHIN] == []


def _ready_since(up: float, answers: list[Answer]) -> bool:
    return any(answer.path == "/health/ready" and answer.status == 200 and answer.at > up for answer in answers)


@asynccontextmanager
async def _admin(container: Container) -> AsyncIterator[httpx2.AsyncClient]:
    """HTTP in this process, as an admin of a new database."""
    await container.schema().upgrade()
    with acting_as(SYSTEM):
        admin = await container.user_service().create({"email": "root@example.com", "role": Role.ADMIN})
        _, secret = await container.auth_service().issue(admin.id)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(create_app(container)),
        base_url="http://test",
        headers={"Authorization": f"Bearer {secret}"},
        timeout=30,
    ) as client:
        yield client

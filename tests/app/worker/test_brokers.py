"""A real worker process on each broker: the same walk over all of them."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container, running
from domain import OutboxMessage, User
from domain.trace_parent import bound_trace_parent
from services.messaging.broker import ACTING_USER, REQUEST_ID, TRACE_PARENT
from settings import Settings
from tests.app.worker.application import EFFECT
from tests.app.worker.brokers import BROKERS, broker_variables
from tests.app.worker.processes import sender, worker
from tests.conftest import FIGURE
from tests.patience import until
from unitwork.models import acting_as, bound_request_id

pytestmark = pytest.mark.database("own")

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
POOLS = ("prefork", "threads", "solo")
MATRIX = [("embedded", pool) for pool in POOLS] + [(broker, "prefork") for broker in BROKERS[1:]]


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("broker", "pool"), MATRIX)
@pytest.mark.timeout(300)
async def test_a_worker_process_runs_tasks_and_messages(
    container: Container,
    session: AsyncSession,
    settings: Settings,
    database_url: str,
    tmp_path: Path,
    broker: str,
    pool: str,
    record_property: Callable[[str, object], None],
) -> None:
    with broker_variables(broker) as variables:
        variables |= {"DATABASE_URL": database_url, "GATEHOUSE_VAR_DIR": str(tmp_path)}
        here = settings.model_copy(
            update={
                "worker": settings.worker.model_validate(
                    {
                        "queue": variables["GATEHOUSE_WORKER__QUEUE"],
                        "broker_url": variables.get("GATEHOUSE_WORKER__BROKER_URL"),
                    }
                )
            }
        )
        begun = time.perf_counter()
        with worker(tmp_path, f"--pool={pool}", "--concurrency=2", **variables) as process:
            async with running(Container(settings=here)) as client:
                with sender(client.broker()) as celery:
                    await asyncio.to_thread(_tasks, celery, pool)
                await _messages(client)
            took = process.end()
        users = {user.display_name or user.email for user in await session.scalars(select(User))}
        assert users == {"task@example.com", "message"}, "and nothing of the task that ran out of time"
        assert list(await session.scalars(select(OutboxMessage))) == []
        whole = time.perf_counter() - begun
        record_property(FIGURE, f"worker on {broker:8} with {pool:7}: done in {whole:4.1f} s, ended in {took:3.1f} s")


def _tasks(celery: Any, pool: str) -> None:
    headers = {ACTING_USER: "42", REQUEST_ID: "request-1", TRACE_PARENT: TRACE}
    places = [celery.send_task("test.look", headers=headers).get(timeout=60) for _ in range(6)]
    assert {(place["acting_user"], place["request_id"], place["trace_parent"]) for place in places} == {
        (42, "request-1", TRACE)
    }
    homes = {(place["pid"], place["container"], place["loop"]) for place in places}
    assert len(homes) == len({place["pid"] for place in places}) <= (2 if pool == "prefork" else 1)
    nobody = celery.send_task("test.look")
    place = nobody.get(timeout=60)
    assert (place["acting_user"], place["request_id"], place["trace_parent"]) == (0, nobody.id, None)
    done = celery.send_task("test.work", ["task@example.com"], headers=headers).get(timeout=60)
    assert done["created_by"] == 42
    late = celery.send_task("test.dawdle", ["late@example.com"])
    with pytest.raises(SoftTimeLimitExceeded):
        late.get(timeout=60)
    with pytest.raises(LookupError):
        celery.send_task("test.fail").get(timeout=60)


async def _messages(client: Container) -> None:
    with acting_as(43), bound_request_id("request-2"), bound_trace_parent(TRACE):
        async with client.transaction()():
            message = await client.outbox_service().append(EFFECT, {"name": "message"})
    with acting_as(0):
        assert await client.outbox_relay().relay() == 1

    async def done() -> bool:
        return bool(await client.inbox_dao().done([message.id]))

    await until(done, within=60, pause=0.1)
    [user] = await client.user_dao().query().eq("display_name", "message").all()
    assert user.created_by == 43, "the effect is that of who caused it"

"""A worker outlives its broker."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from shutil import which

import pytest
from celery import Celery
from kombu import Connection
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.worker import celery_app
from app.worker.consumer import Consumer
from containers import Container, running
from domain import User
from services.messaging.outage import Outage
from settings import Settings
from tests.app.worker.processes import sender, worker
from tests.app.worker.redis_server import RedisServer

pytestmark = pytest.mark.database("own")


@pytest.mark.skipif(which("redis-server") is None, reason="there is no redis-server to start")
@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.timeout(120)
async def test_a_worker_whose_broker_died_with_messages_unacknowledged_goes_on_when_it_is_back(
    session: AsyncSession, settings: Settings, database_url: str, tmp_path: Path
) -> None:
    redis = RedisServer(tmp_path)
    url = f"redis://127.0.0.1:{redis.port}/0"
    here = settings.model_copy(update={"worker": settings.worker.model_validate({"broker_url": url})})
    variables = {"DATABASE_URL": database_url, "GATEHOUSE_VAR_DIR": str(tmp_path), "GATEHOUSE_WORKER__BROKER_URL": url}
    with ExitStack() as stack:
        redis.start()
        stack.callback(redis.kill)
        await asyncio.sleep(0.5)
        process = stack.enter_context(worker(tmp_path, "--pool=prefork", "--concurrency=2", **variables))
        async with running(Container(settings=here)) as client:
            with sender(client.broker()) as celery:
                for number in range(4):
                    celery.send_task("test.dawdle", [f"{number}@example.com"])
                await asyncio.sleep(0.5)
                redis.kill()
            await asyncio.sleep(0.5)
            redis.start()
            await asyncio.sleep(0.5)
            with sender(client.broker()) as celery:
                result = celery.send_task("test.work", ["after@example.com"])
                await asyncio.to_thread(result.get, timeout=60)
        process.end()
    assert await session.scalar(select(User.email).where(User.email == "after@example.com")) is not None


def test_a_lost_connection_that_cant_be_closed_does_not_end_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery 5.7 with Redis: closing the lost connection wants the client that `collect` took away."""

    def close() -> None:
        msg = "'NoneType' object has no attribute 'hostname'"
        raise AttributeError(msg)

    connection = Connection("memory://")
    monkeypatch.setattr(connection, "close", close)
    consumer = Consumer.__new__(Consumer)
    consumer._outage, consumer._consumed = Outage("tasks wait"), True
    consumer.connection = connection
    consumer.app = Celery("tests", set_as_current=False)
    consumer.app.conf.update(
        worker_cancel_long_running_tasks_on_connection_loss=True, worker_enable_prefetch_count_reduction=False
    )
    consumer.on_connection_error_after_connected(ConnectionError())
    assert consumer.connection is None
    assert celery_app.conf.worker_consumer == "app.worker.consumer:Consumer"

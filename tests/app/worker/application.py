"""The worker's application with tasks and a message handler that tests look at. Run by `processes.py`."""

import asyncio
import os
import threading
import time
import uuid
from typing import Any, Final

from dependency_injector import providers
from sqlalchemy import event

from app.worker import celery_app, task, worker_process
from containers import Container
from domain import OutboxMessage
from domain.trace_parent import current_trace_parent
from services.messaging.handlers import at_least_once, exactly_once
from tests.app.worker.hard_handlers import TRACE_FILE, hard_handlers
from unitwork.models import acting_user_id, current_request_id

EFFECT: Final = "test.effect"
"""A message whose effect is an account of that name. Another time it would be another account."""
BLOCK: Final = "test.block"
"""A message whose handler blocks its event loop."""

app = celery_app
_connected: list[int] = []


def build() -> Container:
    container = Container()

    @exactly_once
    async def effect(message: OutboxMessage) -> None:
        email = f"{uuid.uuid4().hex}@example.com"
        await container.user_service().create({"email": email, "display_name": message.payload["name"]})

    @at_least_once
    async def block(message: OutboxMessage) -> None:
        time.sleep(60)  # noqa: ASYNC251 - what it is for

    handlers: Any = container.message_handlers()
    of_tests = {EFFECT: effect, BLOCK: block} | hard_handlers(os.environ.get(TRACE_FILE))
    container.message_handlers.override(providers.Object(handlers | of_tests))
    return container


worker_process.build = build


def _count_connections(container: Container) -> None:
    engine = container.engine().sync_engine
    if not getattr(container, "counted", False):
        setattr(container, "counted", True)  # noqa: B010 - a mark of this module's own
        event.listen(engine, "connect", lambda *_: _connected.append(os.getpid()))


@task("test.look")
async def look(container: Container) -> dict[str, Any]:
    """Where a task runs, and for whom."""
    return {
        "pid": os.getpid(),
        "thread": threading.current_thread().name,
        "container": id(container),
        "loop": id(asyncio.get_running_loop()),
        "acting_user": acting_user_id(),
        "request_id": current_request_id(),
        "trace_parent": current_trace_parent(),
    }


@task("test.work")
async def work(container: Container, email: str) -> dict[str, int]:
    """An account, and how many connections this process has opened."""
    _count_connections(container)
    user = await container.user_service().create({"email": email})
    return {"pid": os.getpid(), "created_by": user.created_by, "connections": len(_connected)}


@task("test.forget")
async def forget(container: Container, statement: str) -> int:
    """Send DISCARD ALL, or its like, on each connection that this process has in its pool, past our sessions."""
    engine = container.engine().execution_options(isolation_level="AUTOCOMMIT")
    pool: Any = engine.pool
    connections = [await engine.connect() for _ in range(pool.checkedin())]
    for connection in reversed(connections):
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.execute(statement)
        await connection.close()
    return len(connections)


@task("test.unit")
async def unit(container: Container, email: str) -> int:
    """An account, stored in a transaction after something was read in it."""
    async with container.transaction()():
        there = await container.user_dao().count().rows()
        await container.user_service().create({"email": email})
    return there


@task("test.pair", ignore_result=True)
async def pair(container: Container, number: int) -> None:
    """A unit of two parts, with a pause in between."""
    async with container.transaction()():
        await container.user_service().create({"email": f"{number}.first@example.com"})
        await asyncio.sleep(0.02)
        await container.user_service().create({"email": f"{number}.second@example.com"})


@task("test.dawdle", soft_time_limit=1)
async def dawdle(container: Container, email: str) -> None:
    """Half a unit, and a sleep over the limit."""
    async with container.transaction()():
        await container.user_service().create({"email": email})
        await asyncio.sleep(30)


@task("test.fail")
async def fail(container: Container) -> None:
    """What a task raises, its caller is told."""
    raise LookupError

"""no_leaks: find what a piece of code took and didn't return, and the line that took it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from unitwork.call_site import asking_site
from unitwork.testing.subject import engine_of, factory_of
from unitwork.unit import Unit

TASK_GRACE_SECONDS: Final = 0.5
"""Seconds for which tasks may go on after the end of the block."""
NO_CALL_SITE: Final = "no line of yours"


@asynccontextmanager
async def no_leaks(subject: Any) -> AsyncIterator[None]:
    """Raise AssertionError if the block leaves a connection in use, a unit open or a task running.

    The error names the line that took, opened or started each. Only those of the block count, and only if it ends
    normally. `subject` is a `Database` or a container.
    """
    units: list[Unit] = []
    factory = factory_of(subject)
    factory.watchers.append(units.append)
    try:
        with _connections(engine_of(subject)) as connections, _tasks() as tasks:
            yield
            await _settle(tasks)
            left = [
                *(f"a connection, taken at {place}" for place in connections.values()),
                *(f"{unit.name or 'a unit'}, opened at {unit.call_site}" for unit in units if not unit.ended),
                *(f"{task.get_name()}, started at {place}" for task, place in tasks.items() if _running(task)),
            ]
    finally:
        factory.watchers.remove(units.append)
    if left:
        raise AssertionError("".join(("left behind:", *(f"\n  {leak}" for leak in left))))


def assert_none_in_use(engine: AsyncEngine) -> None:
    """Raise AssertionError if connections of an engine are in use."""
    pool = engine.pool
    in_use = pool.checkedout() if isinstance(pool, QueuePool) else 0
    if in_use:
        msg = f"connections still in use: {in_use}. The fixture `no_leaks` tells which lines took them."
        raise AssertionError(msg)


@contextmanager
def _connections(engine: AsyncEngine) -> Iterator[dict[int, str]]:
    """Yield the connections taken in the block and still in use, with the line that took each."""
    taken: dict[int, str] = {}

    def checkout(_connection: Any, record: Any, _proxy: Any) -> None:
        taken[id(record)] = asking_site() or NO_CALL_SITE

    def checkin(_connection: Any, record: Any) -> None:
        taken.pop(id(record), None)

    target = engine.sync_engine
    event.listen(target, "checkout", checkout)
    event.listen(target, "checkin", checkin)
    try:
        yield taken
    finally:
        event.remove(target, "checkout", checkout)
        event.remove(target, "checkin", checkin)


@contextmanager
def _tasks() -> Iterator[dict["asyncio.Task[Any]", str]]:
    """Yield the tasks started in the block, with the line that started each."""
    started: dict[asyncio.Task[Any], str] = {}
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()

    def start(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> Any:
        task: Any = asyncio.Task(work, loop=loop, **options) if before is None else before(loop, work, **options)
        started[task] = asking_site() or NO_CALL_SITE
        return task

    loop.set_task_factory(start)
    try:
        yield started
    finally:
        loop.set_task_factory(before)


async def _settle(tasks: dict["asyncio.Task[Any]", str]) -> None:
    pending = [task for task in tasks if _running(task)]
    if pending:
        await asyncio.wait(pending, timeout=TASK_GRACE_SECONDS)


def _running(task: "asyncio.Task[Any]") -> bool:
    return not task.done() and task is not asyncio.current_task()

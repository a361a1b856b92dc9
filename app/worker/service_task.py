"""service_task: an `async def` over the running container, made into a Celery task."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from celery import Celery, Task
from celery.exceptions import SoftTimeLimitExceeded
from celery.signals import before_task_publish

from app.trace_context import continued_trace
from app.worker.process import WorkerProcess
from containers import Container
from domain.trace_parent import current_trace_parent
from services.messaging.broker import ACTING_USER, BACKSTOP, POSITION, REQUEST_ID, TRACE_PARENT
from unitwork import EVERYTHING, Told, current_position, reading_after, undone
from unitwork.errors import DatabaseError, NoActingUser
from unitwork.models import SYSTEM, acting_as, acting_user_id, bound_request_id, current_request_id

P = ParamSpec("P")
T = TypeVar("T")
Work = Callable[Concatenate[Container, P], Awaitable[T]]

HEADERS: Final = (ACTING_USER, REQUEST_ID, TRACE_PARENT, POSITION)
AGAIN: Final = 5
"""Maximum number of retries of a task after an error by which its unit stored nothing."""
FIRST_PAUSE: Final = 1.0
"""Seconds before the first retry; doubled for each further one."""


def service_task(
    application: Celery, process: WorkerProcess, name: str, **options: Any
) -> Callable[[Work[P, T]], "Task[P, T]"]:
    """Register an async function as a task. Its first parameter is the container, which isn't sent; arguments and
    result are JSON. It acts for whoever sent the task, for SYSTEM where that was nobody.

    A task that raises what the next attempt may not meet (`unitwork.transactions.retry.undone`: a schema that was
    changed under it, a deadlock, a database that can't be reached) goes back to its queue, `AGAIN` times. As after a
    lost process, it begins anew: what it had committed before is its own to recognise.
    """

    def register(function: Work[P, T]) -> "Task[P, T]":
        def run(task: "Task[P, T]", *arguments: Any, **named: Any) -> T:
            headers = {REQUEST_ID: task.request.id} | _received(task)
            limit = None if process.limited_by_signal else _soft_limit(task)

            async def work(container: Container) -> T:
                with context_of(headers):
                    return await _within(limit, function(container, *arguments, **named))

            try:
                return process.run(work, name=f"task {name}", hard_limit=_hard_limit(task))
            except DatabaseError as error:
                if undone(error) is None:
                    raise
                raise task.retry(
                    exc=error, countdown=FIRST_PAUSE * 2**task.request.retries, max_retries=AGAIN
                ) from None

        run.__doc__ = function.__doc__
        task: Any = application.task(bind=True, name=name, **options)
        registered: Task[P, T] = task(run)
        return registered

    return register


@contextmanager
def context_of(headers: dict[str, Any]) -> Iterator[None]:
    """Bind the acting user, the request id, the trace and the position that a task was sent with. A task without a
    position reads nothing older than its beginning.
    """
    user, request_id = headers.get(ACTING_USER), headers.get(REQUEST_ID)
    told = Told.parse(headers.get(POSITION)) or EVERYTHING
    with (
        acting_as(SYSTEM if user is None else int(user)),
        nullcontext() if request_id is None else bound_request_id(request_id),
        continued_trace(headers.get(TRACE_PARENT)),
        reading_after(told),
    ):
        yield


def current_headers() -> dict[str, str]:
    """Return the headers that carry the current acting user, request id, trace and position to a task."""
    headers = {REQUEST_ID: current_request_id(), TRACE_PARENT: current_trace_parent(), POSITION: current_position()}
    with suppress(NoActingUser):
        headers[ACTING_USER] = str(acting_user_id())
    return {name: value for name, value in headers.items() if value is not None}


def send_context() -> None:
    """Add the sender's context to the headers of every task that this process sends."""
    before_task_publish.connect(_add_headers, weak=False, dispatch_uid="gatehouse headers")


def _add_headers(headers: dict[str, Any] | None = None, **_: Any) -> None:
    if headers is not None:
        for name, value in current_headers().items():
            headers.setdefault(name, value)


def _received(task: "Task[Any, Any]") -> dict[str, Any]:
    received = {name: task.request.get(name) for name in HEADERS}
    return {name: value for name, value in received.items() if value is not None}


async def _within(limit: float | None, work: Awaitable[T]) -> T:
    """Await the work; after `limit` seconds cancel it and raise `SoftTimeLimitExceeded`, as the prefork pool does."""
    clock = asyncio.timeout(limit)
    try:
        async with clock:
            return await work
    except TimeoutError:
        if clock.expired():
            raise SoftTimeLimitExceeded(limit) from None
        raise


def _soft_limit(task: "Task[Any, Any]") -> float | None:
    """Return the task's soft time limit in seconds; None for no limit. For pools that don't enforce it themselves."""
    limits: tuple[float | None, float | None] = task.request.timelimit or (None, None)
    return limits[1] or task.soft_time_limit or task.app.conf.task_soft_time_limit


def _hard_limit(task: "Task[Any, Any]") -> float | None:
    """Return the task's hard time limit in seconds; None for no limit. The process keeps it itself, and names the line
    then; Celery is given `BACKSTOP` more, after which the prefork pool's main process kills it.
    """
    limits: tuple[float | None, float | None] = task.request.timelimit or (None, None)
    limit = limits[0] or task.time_limit or task.app.conf.task_time_limit
    if limit is None:
        return None
    return limit - BACKSTOP if limit > BACKSTOP else limit / 2

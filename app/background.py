"""BackgroundTasks: work of the API process that continues after its request was answered.

For work that may be lost when the process is killed, such as filling a cache. Work that must not be lost belongs in a
message of the outbox.

    BackgroundError
    ├── BackgroundFull      the limit of running and waiting tasks is reached
    └── BackgroundClosed    the process stops, or has not started
"""

import asyncio
import contextvars
import logging
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup

from settings import Settings
from unitwork import ambient, current_transaction, leave_lane, lift_deadline

Work = Callable[[], Awaitable[object]]

log = logging.getLogger("gatehouse.background")


class BackgroundError(Exception):
    """Work can't be started."""


class BackgroundFull(BackgroundError):
    """The limit of running and waiting tasks is reached."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(limit)

    def __str__(self) -> str:
        return (
            f"{self.limit} background tasks run or wait already. Answer 503, raise BACKGROUND__LIMIT, "
            "or make it a message of the outbox."
        )


class BackgroundClosed(BackgroundError):
    """The process stops, or has not started."""

    def __str__(self) -> str:
        return "background tasks start inside the application's lifespan only. Make it a message of the outbox."


class BackgroundTasks(AbstractAsyncContextManager["BackgroundTasks"]):
    """Supervised group of tasks: a failure is logged and counted, and stops no other task. Enter it inside `running()`,
    so that it is drained before the engine is disposed of: on exit no task starts any more, and running ones have
    `drain_timeout` seconds to end.

    `counts` holds the numbers of tasks that were `started`, of these `done`, `failed` and `cancelled`, and `refused`.
    """

    def __init__(self, *, limit: int = 1000, concurrency: int = 4, drain_timeout: float = 10.0) -> None:
        self._limit = limit
        self._places = asyncio.Semaphore(concurrency)
        self._drain_timeout = drain_timeout
        self._group: TaskGroup | None = None
        self._waiting = 0
        self._cancelling = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.counts: Counter[str] = Counter()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return a group with the limits that the settings give."""
        section = settings.background
        drain_timeout = settings.database.drain_timeout
        return cls(limit=section.limit, concurrency=section.concurrency, drain_timeout=drain_timeout)

    @property
    def waiting(self) -> int:
        """Return the number of tasks that run or wait, also for their transaction's commit."""
        return self._waiting

    def start(self, name: str, work: Work) -> None:
        """Run `work` after the ambient transaction has committed, or at once outside one; never if it rolls back.

        `work` runs in a copy of the caller's context, with its acting user and request, but without its transaction,
        deadline and lane. Raises `BackgroundFull`, `BackgroundClosed`.
        """
        if self._group is None:
            raise BackgroundClosed
        if self._waiting >= self._limit:
            self.counts["refused"] += 1
            raise BackgroundFull(self._limit)
        context = contextvars.copy_context()
        context.run(ambient.set, None)
        context.run(lift_deadline)
        context.run(leave_lane)
        transaction, place = current_transaction(), self._reserve()
        if transaction is None:
            self._spawn(name, work, context, place)
        else:
            transaction.after_commit(lambda: self._spawn(name, work, context, place))
            transaction.after_rollback(place.give_back)

    async def __aenter__(self) -> Self:
        self._cancelling = False
        self._group = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        group, self._group = self._group, None
        assert group is not None  # noqa: S101 - entered
        if error is None:
            with anyio.move_on_after(self._drain_timeout):
                await self._idle.wait()
        if self._waiting:
            log.warning("cancelled when the application stopped: %d background tasks", self._waiting)
        self._cancelling = True
        group.cancel_scope.cancel()
        await group.__aexit__(None, None, None)

    def _spawn(self, name: str, work: Work, context: contextvars.Context, place: "_Place") -> None:
        group = self._group
        if group is None:
            place.give_back()
            self.counts["refused"] += 1
            log.warning("background task %s was not started: the application stops", name)
            return
        self.counts["started"] += 1
        context.run(group.start_soon, self._supervised, name, work, place)

    async def _supervised(self, name: str, work: Work, place: "_Place") -> None:
        try:
            async with self._places:
                await work()
        except Exception:  # whatever it is, one task's failure ends neither the group nor the other tasks
            self.counts["failed"] += 1
            log.exception("background task %s failed", name)
        except asyncio.CancelledError:
            self.counts["cancelled"] += 1
            if self._cancelling:
                raise
            # Something that the work awaited was cancelled: raised here, it would cancel the whole group.
            log.warning("background task %s ended as something that it awaited was cancelled", name)
        except BaseException:
            self.counts["cancelled"] += 1
            raise
        else:
            self.counts["done"] += 1
        finally:
            place.give_back()

    def _reserve(self) -> "_Place":
        self._waiting += 1
        self._idle.clear()
        return _Place(self._release)

    def _release(self) -> None:
        self._waiting -= 1
        if not self._waiting:
            self._idle.set()


class _Place:
    """One of the `limit`. Given back once: when its task ends, its transaction rolls back, or that is forgotten, as
    where nobody knows whether it was committed and no hook is called.
    """

    def __init__(self, release: Callable[[], None]) -> None:
        self._finalizer = weakref.finalize(self, release)
        self._finalizer.atexit = False

    def give_back(self) -> None:
        self._finalizer()

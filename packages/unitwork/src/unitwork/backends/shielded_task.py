"""ShieldedTask: run the pool's own work, a ping or a close, to its end.

The pool's code doesn't have the unit it works for, and a cancellation in the middle would leak the connection's slot.
So the work runs in a task of its own, and a cancellation waits for its end; `unitwork.connections.cancellation` bounds
that wait.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only, greenlet_spawn
from sqlalchemy.util.concurrency import in_greenlet

T = TypeVar("T")


class ShieldedTask(asyncio.Future[T]):
    """Future of work that runs in its own task. Cancelling it cancels that task; it is done when the task has ended."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(loop=loop)
        self._task = loop.create_task(work)
        self._task.add_done_callback(self._settle)

    def cancel(self, msg: Any | None = None) -> bool:
        return self._task.cancel(msg)

    def _settle(self, task: "asyncio.Task[T]") -> None:
        if task.cancelled():
            super().cancel()
        elif (error := task.exception()) is not None:
            self.set_exception(error)
        else:
            self.set_result(task.result())


def close_shielded(engine: AsyncEngine, close: Callable[[Any], Coroutine[Any, Any, object]] | None = None) -> None:
    """Make the pool close a discarded connection by `close`, else by its driver, whatever cancellations arrive.

    SQLAlchemy would pass on a cancellation that arrives meanwhile, and the pool would not register the connection's
    end.
    """
    dialect: Any = engine.sync_engine.dialect

    async def closed(connection: Any) -> None:
        with suppress(asyncio.CancelledError):  # interrupted: the driver has dropped it
            await (greenlet_spawn(connection.terminate) if close is None else close(connection))

    def terminate(connection: Any) -> None:
        if in_greenlet():
            await_only(ShieldedTask(closed(connection)))
        else:  # called by the garbage collector or a disposal
            connection.terminate()

    if dialect.has_terminate:
        dialect.do_terminate = terminate  # there is no event for it

"""Call: a coroutine that runs in the event loop's thread while another thread waits for it."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, TypeVar, cast

import anyio

from app.worker.loop_watch import LoopWatch

T = TypeVar("T")

ENDS_WITHIN: Final = 10.0
"""Seconds that the waiting thread gives a cancelled coroutine to end when the process is to stop at once."""


class Call(Generic[T]):
    """Run of one coroutine, awaited by a thread. An exception that a signal raises in the waiting thread, such as
    Celery's soft time limit, cancels the coroutine, and is raised once it has ended. One that doesn't end is still
    running: its thread takes no other task, and `watch` ends the process at the call's hard limit.
    """

    def __init__(
        self, work: Callable[[], Coroutine[Any, Any, T]], name: str, watch: LoopWatch, hard_limit: float | None
    ) -> None:
        self._work = work
        self._name = name
        self._watch = watch
        self._hard_limit = hard_limit
        self._over = threading.Event()
        self._scope: anyio.CancelScope | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._cancelled = False
        self._result: T | None = None
        self._error: BaseException | None = None

    async def run(self) -> None:
        """Run the coroutine; called in the event loop."""
        self._loop = asyncio.get_running_loop()
        try:
            task = asyncio.current_task()
            with self._watch.limited(self._hard_limit, self._name, task), anyio.CancelScope() as self._scope:
                if self._cancelled:
                    self._scope.cancel()
                self._result = await self._work()
        except BaseException as error:
            self._error = error
            if not isinstance(error, Exception):
                raise
        finally:
            self._over.set()

    def wait(self) -> T:
        """Block the calling thread until the coroutine has ended; return its result, or raise its exception."""
        try:
            self._over.wait()
        except BaseException as error:
            self.cancel()
            self._over.wait(None if isinstance(error, Exception) else ENDS_WITHIN)
            raise
        if self._error is not None:
            raise self._error
        if self._scope is not None and self._scope.cancelled_caught:
            raise asyncio.CancelledError
        return cast("T", self._result)

    def cancel(self) -> None:
        """Cancel the coroutine, from any thread; one that has not begun is cancelled when it begins."""
        self._cancelled = True
        if self._loop is not None and self._scope is not None and not self._over.is_set():
            self._loop.call_soon_threadsafe(self._scope.cancel)

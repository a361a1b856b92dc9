"""WorkerProcess: the event loop, in a thread of its own, and the running container of a process that runs tasks."""

import logging
import os
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Final, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from app.worker.call import Call
from app.worker.loop_watch import LoopWatch
from containers import Container, running

T = TypeVar("T")

log = logging.getLogger("gatehouse.worker")

CLOSING: Final = 20.0
"""Seconds beyond the drain that closing the container may take."""


class WorkerProcess:
    """One event loop and one running container, shared by all tasks and threads of the process. Opened after the fork,
    by the first task at the latest.
    """

    def __init__(self, build: Callable[[], Container] = Container) -> None:
        self.build = build
        """Factory of the container."""
        self.limited_by_signal = False
        """True when the pool itself raises the soft time limit in the waiting thread: only prefork does."""
        self._lock = threading.Lock()
        self._pid: int | None = None
        self._portal: BlockingPortal | None = None
        self._container: Container | None = None
        self._watch: LoopWatch | None = None
        self._closing_limit = CLOSING
        self._closing = ExitStack()

    def open(self) -> Container:
        """Return the running container. A forked child gets a new one, and leaves its parent's alone."""
        with self._lock:
            if self._container is None or self._portal is None or self._pid != os.getpid():
                self._open()
            assert self._container is not None  # noqa: S101 - for the type checker
            return self._container

    def run(
        self,
        work: Callable[[Container], Coroutine[Any, Any, T]],
        *,
        name: str = "a call",
        hard_limit: float | None = None,
    ) -> T:
        """Run `work` with the running container and return its result. Blocks the calling thread; an exception that a
        signal raises there cancels the work, and is raised once the work has ended. After `hard_limit` seconds the
        process ends.
        """
        container = self.open()
        portal, watch = self._portal, self._watch
        assert portal is not None  # noqa: S101 - for the type checker
        assert watch is not None  # noqa: S101 - for the type checker
        call = Call(lambda: work(container), name, watch, hard_limit)
        portal.start_task_soon(call.run)
        return call.wait()

    def close(self) -> None:
        """Drain, and close the container and the loop. Does nothing where nothing is open, and in a forked child."""
        with self._lock:
            if self._pid != os.getpid():
                return
            closing, self._closing, watch = self._closing, ExitStack(), self._watch
            self._portal = self._container = self._pid = self._watch = None
        if watch is not None:
            with watch.limited(self._closing_limit, "the end of the worker"):
                closing.close()

    def _open(self) -> None:
        with ExitStack() as opened:
            container = self.build()
            settings = container.settings()
            watch = LoopWatch(settings.outbox.lease.total_seconds() / 2)
            watch.start()
            opened.callback(watch.stop)
            portal = opened.enter_context(start_blocking_portal(name="gatehouse loop"))
            opened.callback(portal.start_task_soon(watch.beat).cancel)
            lifetime: AbstractContextManager[Container] = portal.wrap_async_context_manager(running(container))
            self._container = opened.enter_context(lifetime)
            self._portal, self._pid, self._watch = portal, os.getpid(), watch
            self._closing_limit = settings.database.drain_timeout + CLOSING
            self._closing = opened.pop_all()

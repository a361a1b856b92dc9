"""WorkerProcess: one event loop, in a thread of its own, and one running container, for a process that runs tasks."""

import logging
import os
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from app.worker.call import Call
from containers import Container, running

T = TypeVar("T")

log = logging.getLogger("gatehouse.worker")


class WorkerProcess:
    """Opened by the first task, or ahead of it, after the fork; every task of the process runs in its loop, on its
    container, whichever thread it comes from.
    """

    def __init__(self, build: Callable[[], Container] = Container) -> None:
        self.build = build
        """Makes the container."""
        self.limited_by_signal = False
        """Whether the pool raises the soft time limit in the thread that waits: prefork does, others know none."""
        self._lock = threading.Lock()
        self._pid: int | None = None
        self._portal: BlockingPortal | None = None
        self._container: Container | None = None
        self._closing = ExitStack()

    def open(self) -> Container:
        """The running container. In a forked child it is a new one: nothing of the parent's is touched."""
        with self._lock:
            if self._container is None or self._portal is None or self._pid != os.getpid():
                self._open()
            assert self._container is not None  # noqa: S101 - for the type checker
            return self._container

    def run(self, work: Callable[[Container], Coroutine[Any, Any, T]]) -> T:
        """What `work` returns, given the running container. Blocks the calling thread; what is raised in it meanwhile,
        by a signal, cancels the work and waits for its end.
        """
        container = self.open()
        portal = self._portal
        assert portal is not None  # noqa: S101 - for the type checker
        call = Call(lambda: work(container))
        portal.start_task_soon(call.run)
        return call.wait()

    def close(self) -> None:
        """Drain, and close the container and the loop. Does nothing where nothing is open, and in a forked child."""
        with self._lock:
            if self._pid != os.getpid():
                return
            closing, self._closing = self._closing, ExitStack()
            self._portal = self._container = self._pid = None
        closing.close()

    def _open(self) -> None:
        with ExitStack() as opened:
            portal = opened.enter_context(start_blocking_portal(name="gatehouse loop"))
            lifetime: AbstractContextManager[Container] = portal.wrap_async_context_manager(running(self.build()))
            self._container = opened.enter_context(lifetime)
            self._portal, self._pid = portal, os.getpid()
            self._closing = opened.pop_all()

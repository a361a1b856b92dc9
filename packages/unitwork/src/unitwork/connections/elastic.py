"""Elastic pools: connections beyond the floor are opened a few at a time, and closed one by one when they have idled.

A pool that closed them on return would open them again with the next request: a TLS hand-shake and a new server process
for each.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from contextvars import Context
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from sqlalchemy.util import greenlet_spawn

from unitwork.backends.registry import backend_of

MAX_DIALS: Final = 3
"""Maximum number of connections that a pool opens at a time without waiting."""
DIAL_WAIT_SECONDS: Final = 0.1
"""Seconds after which one more is opened nevertheless: a server that doesn't answer must not keep others waiting."""
IDLE_SINCE: Final = "unitwork_idle_since"
"""Key in a pool entry's `info` that holds when it was returned, by `time.monotonic()`."""
MIN_CLOSE_INTERVAL_SECONDS: Final = 0.5
"""Minimum of seconds between two closed connections."""

Entries = list[ConnectionPoolEntry] | deque[ConnectionPoolEntry]


class Dials:
    """The connections that a pool is opening."""

    def __init__(self) -> None:
        self._open = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def busy(self) -> bool:
        """True if the next one has to wait."""
        return self._open >= MAX_DIALS

    async def turn(self, returned: Callable[[], bool]) -> None:
        """Wait until fewer are being opened or a connection was returned, and not for longer than
        `DIAL_WAIT_SECONDS`.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + DIAL_WAIT_SECONDS
        while self.busy and not returned() and (left := until - loop.time()) > 0:
            future = loop.create_future()
            self._waiting.append(future)
            try:
                await asyncio.wait((future,), timeout=left)
            except asyncio.CancelledError:
                if future.done():
                    self.wake()  # its turn is the next one's
                raise
            finally:
                if not future.done():
                    self._waiting.remove(future)

    @contextmanager
    def dialling(self) -> Iterator[None]:
        """Count a connection that is being opened."""
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            self.wake()

    def wake(self) -> None:
        """Let the one that has waited longest go on."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return


class IdleClosing:
    """Closes a pool's idle connections beyond its floor, the one that has idled longest first."""

    def __init__(
        self, entries: list[ConnectionPoolEntry], beyond: Callable[[], int], forget: Callable[[], Any]
    ) -> None:
        self._entries = entries
        """The pool's own list of idle connections; the last one is taken first."""
        self._beyond = beyond
        """Return how many connections the pool has beyond its floor."""
        self._forget = forget
        """Uncount a connection."""
        self._timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def returned(self, timeout: float) -> None:
        """Look after the pool from now on, if it has more connections than its floor."""
        if self._timer is None and self._beyond() > 0:
            with suppress(RuntimeError):  # no event loop is running: the pool is being given up
                self._look_after(timeout, timeout)

    def stop(self) -> None:
        """Close no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_after(self, seconds: float, timeout: float) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._look, timeout, context=Context())

    def _look(self, timeout: float) -> None:
        self._timer = None
        if self._beyond() <= 0:
            return
        left = timeout
        if self._entries:
            left -= time.monotonic() - self._entries[0].info.get(IDLE_SINCE, 0.0)
        if left <= 0:
            entry = self._entries[0]
            del self._entries[0]
            self._forget()
            task = asyncio.get_running_loop().create_task(greenlet_spawn(entry.close), context=Context())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        self._look_after(max(left, MIN_CLOSE_INTERVAL_SECONDS), timeout)


async def warm(engine: AsyncEngine) -> int:
    """Open the connections that the engine's pool keeps, one after the other, before they are needed; return their
    number. A database in a file needs none. Raises `DatabaseUnavailable`.
    """
    pool, opened = engine.pool, 0
    if not isinstance(pool, QueuePool) or backend_of(engine.dialect).in_file:
        return 0
    async with AsyncExitStack() as stack:
        for _ in range(getattr(pool, "floor", 0) - pool.checkedout()):
            await stack.enter_async_context(engine.connect())
            opened += 1
    return opened

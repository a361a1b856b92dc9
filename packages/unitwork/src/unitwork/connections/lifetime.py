"""Lifetime: the time from `running()` entering a container until it leaves, once per container; and Drain, which gives
open units time to end when it closes, then cancels them.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

import anyio

from unitwork.connections.holders import description
from unitwork.errors import ContainerClosed, EngineBelongsToAnotherLoop, EngineBelongsToAnotherProcess, EngineNotStarted
from unitwork.unit import Unit

DEFAULT_TIMEOUT_SECONDS: Final = 10.0
"""Drain timeout in seconds, where no settings give one."""
CANCEL_TIMEOUT_SECONDS: Final = 1.0
"""Seconds that cancelled units get to end: a few times the cancel grace. Then their connections are dropped."""
POLL_INTERVAL_SECONDS: Final = 0.01
"""Seconds between two checks of what is still open."""

log = logging.getLogger("unitwork.database")


class Drain:
    """Drain of one container. Tracks its units from the beginning of their block until their hooks have run."""

    def __init__(self, timeout: Callable[[], float] | None = None) -> None:
        self._timeout_in_force = timeout
        self._timeout = DEFAULT_TIMEOUT_SECONDS
        self._open: set[Unit] = set()
        self._since: float | None = None
        self._closing = False
        self._hurried = False
        self.announced = asyncio.Event()
        """Set once shutdown was announced; loops without an end of their own stop then."""

    def read_timeout(self) -> None:
        """Read the timeout in force. Raises `SettingsError` if the settings can't be read."""
        if self._timeout_in_force is not None:
            self._timeout = self._timeout_in_force()

    def admit(self, unit: Unit) -> None:
        """Register a unit that begins. Raises `ContainerClosed` once the drain has begun, unless the running task
        already has an open unit: whatever that needs to end is still admitted.
        """
        if self._closing and not any(other.mine() for other in self._open):
            raise ContainerClosed(closing=True)
        self._open.add(unit)

    def left(self, unit: Unit) -> None:
        """Unregister a unit whose hooks have run."""
        self._open.discard(unit)

    def announce(self) -> None:
        """Announce shutdown and start the drain timer; units are still admitted."""
        self.announced.set()
        if self._since is None:
            self._since = asyncio.get_running_loop().time()

    def hurry(self) -> None:
        """Stop waiting and cancel what is still open."""
        self._hurried = True

    async def run(self, leaving: "asyncio.Task[object] | None") -> None:
        """Admit no more units and wait, for at most the timeout, until the units of all tasks but the leaving one have
        ended.

        Then cancel their tasks and wait at most `CANCEL_TIMEOUT_SECONDS` more. Log what had to be cancelled and what is
        still open.
        """
        with suppress(Exception):  # unreadable settings must not keep a container from closing
            self.read_timeout()
        self.announce()
        self._closing = True
        clock = asyncio.get_running_loop().time
        until = (self._since or 0) + self._timeout
        while self._running(leaving) and not self._hurried and clock() < until:
            await self._sleep()
        late = self._running(leaving)
        for task in {unit.task for unit in late}:
            # A task that others have cancelled is cleaning up already.
            if task is not None and not task.cancelling():
                task.cancel("the container is being closed")
        until = clock() + CANCEL_TIMEOUT_SECONDS
        while self._running(leaving) and clock() < until:
            await self._sleep()
        self._report(late)

    async def _sleep(self) -> None:
        try:
            await asyncio.sleep(POLL_INTERVAL_SECONDS)
        except asyncio.CancelledError:
            # The event loop is being closed. The rest is bounded in time and must still run.
            self.hurry()

    def _running(self, leaving: "asyncio.Task[object] | None") -> list[Unit]:
        """Return the open units that can still end: not those of the leaving task, nor of a finished task."""
        return [
            unit for unit in self._open if unit.task is not None and unit.task is not leaving and not unit.task.done()
        ]

    def _report(self, late: Iterable[Unit]) -> None:
        cancelled = [unit for unit in late if unit not in self._open]
        if cancelled:
            log.warning("cancelled when the container closed: %s", "; ".join(description(cancelled)))
        if self._open:
            left = "; ".join(description(self._open))
            log.warning("still open when the container closed, their connections are dropped: %s", left)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the running event loop; None in a thread that has none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Lifetime:
    """Everything a container has open, closed in reverse order of opening. Belongs to the process and the event loop it
    was entered in.

    Entering is counted: only the outermost `leave` closes. Before it closes, open units get time to end.
    """

    def __init__(self, drain_timeout: Callable[[], float] | None = None) -> None:
        self.drain = Drain(drain_timeout)
        self._process: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._entered = 0
        self._leaving = False
        self._closed = False
        self._closing = AsyncExitStack()

    def enter(self) -> None:
        """Enter once more. Raises `ContainerClosed` once the outermost `leave` has begun, and `SettingsError`."""
        if self._leaving:
            raise ContainerClosed(closing=not self._closed)
        if not self._entered:
            self.drain.read_timeout()
            self._process, self._loop = os.getpid(), asyncio.get_running_loop()
        self._entered += 1

    def check_home(self) -> None:
        """Raise `EngineBelongsToAnotherProcess` or `EngineBelongsToAnotherLoop` in another process or event loop than
        it was entered in.
        """
        process, home = os.getpid(), self._process
        if home != process and home is not None:
            raise EngineBelongsToAnotherProcess(home, process)
        if self._loop is not None and self._loop is not _running_loop():
            raise EngineBelongsToAnotherLoop

    async def leave(self, forget: Callable[[], Any]) -> None:
        """Leave once. The outermost call drains, calls `forget` so that the container drops what was opened, and closes
        it in reverse order, each even if another fails.

        A cancellation meanwhile ends the drain's waiting early, and is raised at the end.
        """
        self._entered -= 1
        if self._entered:
            return
        self._leaving = True
        closing = asyncio.get_running_loop().create_task(self._close(forget, asyncio.current_task()))
        cancelled: asyncio.CancelledError | None = None
        # The scope stops AnyIO from cancelling again and again; the loop catches native cancellations.
        with anyio.CancelScope(shield=True):
            while not closing.done():
                try:
                    await asyncio.wait((closing,))
                except asyncio.CancelledError as error:
                    cancelled = cancelled or error
                    self.drain.hurry()
        if cancelled is not None:
            raise cancelled from None if closing.cancelled() else closing.exception()
        closing.result()

    async def _close(self, forget: Callable[[], Any], leaving: "asyncio.Task[Any] | None") -> None:
        if self._process == os.getpid():  # a forked child has none of its parent's tasks
            await self.drain.run(leaving)
        self._closed = True
        forget()
        await self._closing.aclose()

    def require_open(self) -> None:
        """Raise `EngineNotStarted` before `enter`, `ContainerClosed` after the outermost `leave`."""
        if self._closed:
            raise ContainerClosed
        if not self._entered:
            raise EngineNotStarted

    def on_close(self, close: Callable[[], Awaitable[Any]]) -> None:
        """Register `close` to be awaited when the lifetime ends."""
        self._closing.push_async_callback(close)

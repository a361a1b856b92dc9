"""Lifetime: the time from `running()` entering a container until it leaves, once per container."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import anyio

from unitwork.connections.drain import Drain
from unitwork.errors import ContainerClosed, EngineBelongsToAnotherLoop, EngineBelongsToAnotherProcess, EngineNotStarted


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

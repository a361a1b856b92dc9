"""Lifetime: from the moment `running()` enters a container until it leaves. Once, and not again."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from database.errors import (
    ContainerClosed,
    EngineBelongsToAnotherLoop,
    EngineBelongsToAnotherProcess,
    EngineNotStarted,
)


class Lifetime:
    """What a container has open, and how to close it, last opened first. Belongs to the process and the event loop
    it was entered in.

    Entering is counted: only the outermost `leave` closes.
    """

    def __init__(self) -> None:
        self._process: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._entered = 0
        self._closed = False
        self._closing = AsyncExitStack()

    def enter(self) -> None:
        """Open the gate. Raises `ContainerClosed` after the outermost `leave`."""
        if self._closed:
            raise ContainerClosed
        if not self._entered:
            self._process, self._loop = os.getpid(), asyncio.get_running_loop()
        self._entered += 1

    def check_home(self) -> None:
        """Raises `EngineBelongsToAnotherProcess` or `EngineBelongsToAnotherLoop` away from where it was entered."""
        process = os.getpid()
        if self._process not in {None, process}:
            raise EngineBelongsToAnotherProcess(self._process or 0, process)
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise EngineBelongsToAnotherLoop

    async def leave(self, forget: Callable[[], Any]) -> None:
        """The outermost call has the container forget what was opened, then closes it, last opened first, each even
        if another fails.
        """
        self._entered -= 1
        if self._entered == 0:
            self._closed = True
            forget()
            await self._closing.aclose()

    def require_open(self) -> None:
        """Raises `EngineNotStarted` before `enter`, `ContainerClosed` after the outermost `leave`."""
        if self._closed:
            raise ContainerClosed
        if not self._entered:
            raise EngineNotStarted

    def on_close(self, close: Callable[[], Awaitable[Any]]) -> None:
        """Have `close` awaited when the lifetime ends."""
        self._closing.push_async_callback(close)

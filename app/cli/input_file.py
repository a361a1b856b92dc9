"""InputFile: a file, pipe or terminal, read without blocking the event loop or the end of the process.

A read of a pipe can block for ever. It runs in a thread that is never joined, so that an interrupted command ends at
once.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")
STDIN: Final = 0
DASH: Final = Path("-")
"""Argument that stands for stdin."""


class InputFile:
    """A file of bytes that is read piece by piece."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.reading = False

    async def read(self, size: int, /) -> bytes:
        """Return the next piece, at most `size` bytes; empty at the end. Raises OSError."""
        self.reading = True
        piece = await _unjoined(lambda: os.read(self._descriptor, size))
        self.reading = False
        return piece


@asynccontextmanager
async def input_file(path: Path) -> AsyncIterator[InputFile]:
    """Open the file for the block; `-` is stdin. Raises OSError."""
    descriptor = await _unjoined(lambda: os.dup(STDIN) if path == DASH else os.open(path, os.O_RDONLY))
    file = InputFile(descriptor)
    try:
        yield file
    finally:
        if not file.reading:  # otherwise a thread still reads it, until the process ends
            os.close(descriptor)


async def _unjoined(call: Callable[[], T]) -> T:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]  # one of the two is there
        else:
            future.set_exception(error)

    def work() -> None:
        try:
            result = call()
        except OSError as error:
            answer: tuple[T | None, OSError | None] = (None, error)
        else:
            answer = (result, None)
        try:
            loop.call_soon_threadsafe(settle, *answer)
        except RuntimeError:
            return  # the loop is closed: the result is no longer wanted

    threading.Thread(target=work, daemon=True, name="input").start()
    return await future

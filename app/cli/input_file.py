"""InputFile: a file, pipe or terminal that is read without anybody waiting for it.

A read of a pipe can block for good. It runs in a thread that nothing joins, so that an interrupted command ends at
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
"""The argument that names stdin."""


class InputFile:
    """The bytes, in pieces."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.reading = False

    async def read(self, size: int, /) -> bytes:
        """The next piece, `size` bytes at most; empty at the end. Raises OSError."""
        self.reading = True
        piece = await _unjoined(lambda: os.read(self._descriptor, size))
        self.reading = False
        return piece


@asynccontextmanager
async def input_file(path: Path) -> AsyncIterator[InputFile]:
    """The file, open for the block; `-` is stdin. Raises OSError."""
    descriptor = await _unjoined(lambda: os.dup(STDIN) if path == DASH else os.open(path, os.O_RDONLY))
    file = InputFile(descriptor)
    try:
        yield file
    finally:
        if not file.reading:  # else a thread still has it, until the process ends
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
            return  # the loop is closed: nobody wants it any more

    threading.Thread(target=work, daemon=True, name="input").start()
    return await future

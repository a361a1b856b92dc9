"""Work in an event loop of its own that a signal ends as it should."""

import asyncio
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from app.cli.errors import Terminated

T = TypeVar("T")


def run_to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, where SIGTERM cancels as SIGINT does: what is open is rolled back and closed. Raises `Terminated`
    then, as KeyboardInterrupt is raised for SIGINT; a second SIGINT raises it at once.

    Both are ours from before the loop is made until it is closed: Python's own KeyboardInterrupt in the middle of that
    would leave half a loop behind, with a traceback for whoever pressed the keys.
    """
    told: list[int] = []
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]] = []

    def tell(number: int, _frame: object) -> None:
        if number == signal.SIGINT and number in told:
            raise KeyboardInterrupt
        told.append(number)
        for loop, task in running:
            if task is not None:
                loop.call_soon_threadsafe(task.cancel)

    async def main() -> T:
        running.append((asyncio.get_running_loop(), task := asyncio.current_task()))
        if told and task is not None:
            task.cancel()  # it came before there was anything to cancel
        try:
            return await work
        finally:
            running.clear()

    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(work)  # signals are somebody else's
    before = {number: signal.signal(number, tell) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        if signal.SIGTERM in told:
            raise Terminated from None
        if told:
            raise KeyboardInterrupt from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""run_to_its_end: runs a coroutine in a new event loop; SIGINT and SIGTERM cancel it and let it clean up."""

import asyncio
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from app.cli.errors import Terminated

T = TypeVar("T")


def run_to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine as `asyncio.run` does. SIGTERM cancels it as SIGINT does: transactions are rolled back and
    resources closed. Then raises `Terminated` or KeyboardInterrupt; a second SIGINT raises KeyboardInterrupt at once.

    Both handlers are installed before the loop is created and removed after it is closed: Python's own
    KeyboardInterrupt during either would leave the loop half open and show the user a traceback.
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
            task.cancel()  # the signal came before the task existed
        try:
            return await work
        finally:
            running.clear()

    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(work)  # only the main thread may set signal handlers
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

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
    then, as KeyboardInterrupt is raised for SIGINT.
    """
    told = False

    async def main() -> T:
        task = asyncio.current_task()

        def terminate() -> None:
            nonlocal told
            told = True
            if task is not None:
                task.cancel()

        if threading.current_thread() is not threading.main_thread():
            return await work  # signals are somebody else's
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, terminate)
        try:
            return await work
        finally:
            loop.remove_signal_handler(signal.SIGTERM)

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        if told:
            raise Terminated from None
        raise

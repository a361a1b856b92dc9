"""until_told: runs work that ends normally by SIGINT or SIGTERM."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from app.cli.server import told_by_signals


async def until_told(work: Coroutine[Any, Any, object]) -> bool:
    """Run the work until SIGINT or SIGTERM, then cancel it and wait for its end. Return True when a signal ended it.
    Raises what the work raises.
    """
    task = asyncio.ensure_future(work)
    told = False

    def tell(*_: object) -> None:
        nonlocal told
        told = True
        task.cancel()

    with told_by_signals(tell):
        try:
            await task
        except asyncio.CancelledError:
            if not told:
                task.cancel()
                raise
    return told

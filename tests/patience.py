"""Waiting for what comes about by itself."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], bool | Awaitable[bool]], *, within: float = 5.0, pause: float = 0.01) -> None:
    """Ask again and again. Raises TimeoutError when it still isn't so after `within` seconds."""
    async with asyncio.timeout(within):
        while True:
            answer = condition()
            if await answer if inspect.isawaitable(answer) else answer:
                return
            await asyncio.sleep(pause)

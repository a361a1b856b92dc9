"""Waiting for something that can only be looked at."""

import asyncio
import time
from collections.abc import Awaitable, Callable


async def until(look: Callable[[], bool | Awaitable[bool]], *, within: float, every: float = 0.02) -> bool:
    """True as soon as `look` (sync or async) says so; False when it still doesn't after `within` seconds."""
    end = time.monotonic() + within
    while True:
        seen = look()
        if seen if isinstance(seen, bool) else await seen:
            return True
        if time.monotonic() > end:
            return False
        await asyncio.sleep(every)

"""What a program of this package prints of its work."""

import asyncio
import resource
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

Insert = Callable[[], Coroutine[Any, Any, object]]


def insert_measured(opened: Callable[[str, int], AbstractAsyncContextManager[Insert]]) -> None:
    """Open with the URL and the number of rows; the rows are there when the clock starts."""

    async def main(url: str, rows: int) -> None:
        async with opened(url, rows) as insert:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            begun = time.perf_counter()
            await insert()
            seconds = time.perf_counter() - begun
            print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)

    asyncio.run(main(sys.argv[1], int(sys.argv[2])))

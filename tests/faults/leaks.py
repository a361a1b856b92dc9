"""Leaks: what a piece of work has left behind, counted before and after.

    async with no_leaks(engine) as leaks:
        ...                                # whatever may go wrong
    # LeaksFound names everything that was left; `await leaks.found()` asks in between.

Counted: connections in use, tasks that are still pending, the server's backends beyond the pool's connections
(PostgreSQL), every warning (the garbage collector finding a connection that was not given back, a coroutine that was
never awaited), what `sys.unraisablehook` and the loop's exception handler were told ("Task was destroyed"). What only
needs a moment to go away has `settle` seconds for it.
"""

import asyncio
import gc
import sys
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import asyncpg
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.faults.waiting import until

SETTLE: Final = 5.0
"""Seconds; a leak stays for ever, so this only costs time where there is one."""


class LeaksFound(AssertionError):
    """Something was left behind; the text names each."""


class Leaks:
    """Of one engine in one event loop, since `no_leaks` was entered."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._tasks = asyncio.all_tasks()
        self._in_use = in_use(engine)
        self._warnings: list[warnings.WarningMessage] = []
        self._told: list[str] = []
        self._others = 0

    async def found(self, *, settle: float = SETTLE) -> list[str]:
        """Everything that is left, once it had time to go away; empty is what a test wants. What was merely told (a
        warning, an unraisable error) is in one answer only.
        """
        begun = time.monotonic()
        await until(lambda: not self._left(), within=settle)
        left = self._left()
        if self._engine.dialect.name == "postgresql":
            await until(self._only_the_pools, within=settle - (time.monotonic() - begun), every=0.05)
            left += await self._backends()
        gc.collect()
        await asyncio.sleep(0)  # destructors report through the loop
        told = self._told + [f"warning: {warning.message}" for warning in self._warnings]
        self._told.clear()
        self._warnings.clear()
        return left + told

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take in what Python tells nobody in particular: warnings, unraisable errors, the loop's exception handler."""
        loop = asyncio.get_running_loop()
        handler, hook = loop.get_exception_handler(), sys.unraisablehook

        def handle(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            self._told.append(f"event loop: {context.get('message')} {context.get('exception', '')!r}")

        def unraisable(error: Any) -> None:
            self._told.append(f"unraisable: {error.err_msg or ''} {error.exc_value!r}")

        with warnings.catch_warnings(record=True) as self._warnings:
            warnings.simplefilter("always")
            loop.set_exception_handler(handle)
            sys.unraisablehook = unraisable
            try:
                yield
            finally:
                sys.unraisablehook = hook
                loop.set_exception_handler(handler)

    def _left(self) -> list[str]:
        left = []
        if (used := in_use(self._engine)) > self._in_use:
            left.append(f"{used - self._in_use} connections in use")
        pending = {task for task in asyncio.all_tasks() - self._tasks if not task.done()} - {asyncio.current_task()}
        return left + [f"pending: {task!r}" for task in pending]

    async def look_around(self) -> None:
        """Take note of what is not this engine's."""
        if self._engine.dialect.name == "postgresql":
            self._others = await self._unknown_to_the_pool()

    async def _unknown_to_the_pool(self) -> int:
        pool: Any = self._engine.pool
        return await backends(self._engine.url) - int(pool.checkedin()) - int(pool.checkedout())

    async def _only_the_pools(self) -> bool:
        return not await self._backends()

    async def _backends(self) -> list[str]:
        extra = await self._unknown_to_the_pool() - self._others
        return [f"{extra} backends that the pool doesn't know"] if extra > 0 else []


@asynccontextmanager
async def no_leaks(engine: AsyncEngine, *, settle: float = SETTLE) -> AsyncIterator[Leaks]:
    """Raises `LeaksFound` at the end of the block, unless the block itself raised."""
    gc.collect()  # what others left is theirs
    leaks = Leaks(engine)
    await leaks.look_around()
    with leaks.listening():
        yield leaks
        left = await leaks.found(settle=settle)
    if left:
        raise LeaksFound("\n".join(left))


def in_use(engine: AsyncEngine) -> int:
    """Connections that are out of the pool."""
    pool: Any = engine.pool
    return int(pool.checkedout())


async def backends(url: URL) -> int:
    """How many sessions the server has on the URL's database, the asking one not counted."""
    plain = url.set(drivername="postgresql").difference_update_query(url.query)
    connection = await asyncpg.connect(plain.render_as_string(hide_password=False))
    try:
        count: int = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
    finally:
        await connection.close()
    return count

"""Watch: asks one server for its position at intervals, over a connection of its own outside the pool."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from unitwork.connections.connecting import set_up_errors
from unitwork.connections.primary import times_left
from unitwork.errors import DatabaseError, DatabaseUnavailable

ANSWERS_WITHIN_SECONDS: Final = 0.5
"""Seconds after which a server that hasn't answered counts as hung."""
RECONNECT_AFTER_SECONDS: Final = 0.25
"""Seconds between the loss of the connection and the next attempt to connect."""
HURRIED_INTERVAL_SECONDS: Final = 0.002
"""Seconds between two questions while somebody waits for the server's position."""

Answered = Callable[[Any, float, float], None]
"""Called with the answer, the moment of `time.monotonic()` at which it was asked for, and the seconds it took."""
Lost = Callable[[str], None]
"""Called with the reason."""


class Watch:
    """Asks until it is cancelled. The server is left when its pool leaves it."""

    def __init__(self, engine: AsyncEngine, query: str, interval: float, answered: Answered, lost: Lost) -> None:
        self._engine = engine
        self._query = query
        self._interval = interval
        self._answered = answered
        self._lost = lost
        self._woken = asyncio.Event()
        self.waiting = 0
        """Number of units that wait for the server's position."""

    def wake(self) -> None:
        """Ask now, not at the interval's end."""
        self._woken.set()

    async def run(self) -> None:
        errors: tuple[type[BaseException], ...] = (
            DatabaseError,
            SQLAlchemyError,
            TimeoutError,
            *set_up_errors(self._engine.dialect.loaded_dbapi),
        )
        while True:
            try:
                await self._ask_until_lost()
            except errors as error:
                hung = isinstance(error, TimeoutError)
                self._lost(f"no answer within {ANSWERS_WITHIN_SECONDS:g} s" if hung else _reason(error))
            await asyncio.sleep(RECONNECT_AFTER_SECONDS)

    async def _ask_until_lost(self) -> None:
        pool = self._engine.sync_engine.pool
        left = times_left(pool)
        # A pool of its own, as those who read may have all of the engine's connections.
        connection: PoolProxiedConnection = await greenlet_spawn(pool.recreate().connect)
        driver: Any = connection.driver_connection
        try:
            driver.add_termination_listener(lambda *_: self.wake())
            while times_left(pool) == left:
                self._woken.clear()
                asked_at = time.monotonic()
                answer = await driver.fetchval(self._query, timeout=ANSWERS_WITHIN_SECONDS)
                self._answered(answer, asked_at, time.monotonic() - asked_at)
                await self._pause()
        finally:
            with suppress(Exception):  # whatever the end of a lost connection raises, it must not hide a cancellation
                driver.terminate()
                await greenlet_spawn(connection.invalidate)

    async def _pause(self) -> None:
        if self.waiting:
            await asyncio.sleep(HURRIED_INTERVAL_SECONDS)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._interval):
                await self._woken.wait()


def _reason(error: BaseException) -> str:
    if isinstance(error, DatabaseUnavailable):
        return error.reason
    return str(error) if isinstance(error, DatabaseError) else type(error).__name__

"""WakeUp: being told by the database that something was committed, instead of asking it all the time."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.backends.registry import backend_of
from unitwork.errors import DatabaseError

log = logging.getLogger("unitwork.database")

AGAIN_AFTER: Final = 1.0
"""Seconds after which a connection that was lost is opened anew."""


class Bell:
    """Rung by the database. A ring between `clear` and `wait` isn't missed."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    def clear(self) -> None:
        self._rung.clear()

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109 - a bound, not an error
        """Until it rings, but so many seconds at most; whether it rang."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._rung.wait()
        return self._rung.is_set()


class WakeUp:
    """LISTEN on PostgreSQL, over a connection beside the pool. Elsewhere, behind a transaction pooler, and while that
    connection is lost, nothing rings: callers ask at intervals too.
    """

    def __init__(self, engine: Callable[[], AsyncEngine]) -> None:
        self._engine = engine

    @asynccontextmanager
    async def listening(self, channel: str) -> AsyncIterator[Bell]:
        """A bell that rings with each NOTIFY of the channel, once it was committed, for the length of the block."""
        engine, bell = self._engine(), Bell()
        if not backend_of(engine.dialect).notifies:
            yield bell
            return
        listener = asyncio.create_task(_listen(engine, channel, bell), name=f"listen to {channel}")
        try:
            yield bell
        finally:
            listener.cancel()
            await asyncio.wait((listener,))


async def _listen(engine: AsyncEngine, channel: str, bell: Bell) -> None:
    while True:
        try:
            async with engine.connect() as connection:
                if engine.dialect.driver != "asyncpg":
                    return
                driver = (await connection.get_raw_connection()).driver_connection
                # Its place in the pool is free again; it is closed, not given back, at the end of the block.
                await connection.run_sync(lambda sync: sync.detach())
                await _until_lost(driver, channel, bell)
        except (DatabaseError, SQLAlchemyError, OSError) as error:
            log.debug("not listening to %s: %s", channel, type(error).__name__)
        await asyncio.sleep(AGAIN_AFTER)


async def _until_lost(driver: Any, channel: str, bell: Bell) -> None:
    lost = asyncio.Event()
    driver.add_termination_listener(lambda *_: lost.set())
    await driver.add_listener(channel, lambda *_: bell.ring())
    bell.ring()  # what was committed before we listened
    await lost.wait()

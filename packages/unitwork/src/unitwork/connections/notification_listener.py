"""NotificationListener: wake up by LISTEN and NOTIFY when something was committed, instead of polling constantly."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import Pool

from unitwork.backends.registry import backend_of
from unitwork.connections.connecting import set_up_errors
from unitwork.connections.primary import times_left
from unitwork.errors import DatabaseError

log = logging.getLogger("unitwork.database")

RECONNECT_AFTER_SECONDS: Final = 1.0
"""Seconds between the loss of the connection and the next attempt to connect."""


class Notification:
    """Flag that a NOTIFY sets. One that arrives between `clear` and `wait` isn't missed."""

    def __init__(self) -> None:
        self._arrived = asyncio.Event()

    def set(self) -> None:
        self._arrived.set()

    def clear(self) -> None:
        self._arrived.clear()

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109 - a bound, not an error
        """Wait for a notification, `timeout` seconds at most. Return True if one has arrived."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._arrived.wait()
        return self._arrived.is_set()


class NotificationListener:
    """LISTEN on PostgreSQL, over a connection outside the pool. Callers must also poll at intervals: there are no
    notifications on other databases, behind a transaction pooler, or while that connection is lost.
    """

    def __init__(self, engine: Callable[[], AsyncEngine]) -> None:
        self._engine = engine

    @asynccontextmanager
    async def listening(self, channel: str) -> AsyncIterator[Notification]:
        """Yield a flag that each committed NOTIFY of the channel sets, for the length of the block."""
        engine, notification = self._engine(), Notification()
        if not backend_of(engine.dialect).notifies:
            yield notification
            return
        listener = asyncio.create_task(
            _listen(engine, channel, notification), name=f"listen to {channel}", context=Context()
        )
        try:
            yield notification
        finally:
            listener.cancel()
            await asyncio.wait((listener,))


async def _listen(engine: AsyncEngine, channel: str, notification: Notification) -> None:
    errors: tuple[type[BaseException], ...] = (
        DatabaseError,
        SQLAlchemyError,
        *set_up_errors(engine.dialect.loaded_dbapi),
    )
    while True:
        try:
            async with engine.connect() as connection:
                if engine.dialect.driver != "asyncpg":
                    return
                driver = (await connection.get_raw_connection()).driver_connection
                # Detaching frees its slot in the pool; the block's end closes the connection instead of returning it.
                await connection.run_sync(lambda sync: sync.detach())
                await _until_lost(engine.pool, driver, channel, notification)
        except errors as error:
            log.debug("not listening to %s: %s", channel, type(error).__name__)
        await asyncio.sleep(RECONNECT_AFTER_SECONDS)


async def _until_lost(pool: Pool, driver: Any, channel: str, notification: Notification) -> None:
    """Return when the connection is lost, or the pool has left its server: a demoted one keeps its sessions, and tells
    them nothing of what is committed elsewhere. Raises the driver's error where LISTEN is refused, as on a standby.
    """
    lost, left = asyncio.Event(), times_left(pool)
    driver.add_termination_listener(lambda *_: lost.set())
    await driver.add_listener(channel, lambda *_: notification.set())
    notification.set()  # for commits before LISTEN took effect
    while times_left(pool) == left and not lost.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(RECONNECT_AFTER_SECONDS):
                await lost.wait()

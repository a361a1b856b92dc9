"""Disposal: close every connection an engine has opened, in bounded time even if the server doesn't answer."""

import asyncio
import logging
import os
from typing import Any, Final
from weakref import WeakSet

from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import greenlet_spawn

from unitwork.backends.registry import backend_of

CLOSE_TIMEOUT_SECONDS: Final = 0.4
"""Seconds that closing all connections in order may take together."""

log = logging.getLogger("unitwork.database")


class Disposal:
    """Disposal of one engine. SQLAlchemy's own closes the idle connections one after the other, each as slowly as its
    server answers, and doesn't touch those in use.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._opened_by = os.getpid()
        self._entries: WeakSet[ConnectionPoolEntry] = WeakSet()
        event.listen(engine.sync_engine, "connect", self._opened)

    async def dispose(self) -> None:
        """Close idle connections in order, all at the same time, and drop those in use or late.

        Roll back a transaction that is open on one: SQLite would keep it, and the file's one writer, for as long as
        anybody holds a cursor of the connection, and other servers until they notice that the client is gone.
        """
        if os.getpid() != self._opened_by:
            # A forked child that leaves its parent's block must not write to its parent's sockets.
            self._engine.sync_engine.dispose(close=False)
            return
        entries = [entry for entry in self._entries if entry.dbapi_connection is not None]
        pending = {
            asyncio.create_task(greenlet_spawn(self._drop if entry.in_use else self._close, entry)): entry
            for entry in entries
        }
        try:
            if pending:
                await asyncio.wait(pending, timeout=CLOSE_TIMEOUT_SECONDS)
        finally:
            for task, entry in pending.items():
                if not task.done():
                    task.cancel()
                    self._drop(entry)
            # Everything is closed already.
            self._engine.sync_engine.dispose(close=False)

    def _close(self, entry: ConnectionPoolEntry) -> None:
        """Close one connection in order. The entry's own `close` would log a traceback for one that was dropped
        meanwhile.
        """
        dialect, connection = self._engine.sync_engine.dialect, entry.dbapi_connection
        if connection is None:
            return
        on_close = self._engine.pool.dispatch.close
        try:
            if on_close:
                on_close(connection, entry)
            dialect.do_close(connection)
        except Exception as error:  # noqa: BLE001 - whatever it is, the connection is of no more use
            log.debug("a connection could not be closed in order, it is dropped: %s", type(error).__name__)
            self._drop(entry)

    def _opened(self, _connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        self._entries.add(entry)

    def _drop(self, entry: ConnectionPoolEntry) -> None:
        """Roll back what is open on the connection, and close it; a call that waits for an answer fails."""
        dialect: Any = self._engine.sync_engine.dialect
        connection = entry.dbapi_connection
        if connection is None or not dialect.has_terminate:
            return
        backend = backend_of(dialect)
        backend.interrupt(entry.driver_connection)
        backend.abandon(entry.driver_connection)
        try:
            dialect.do_terminate(connection)
        except Exception as error:  # noqa: BLE001 - the connection is given up, whatever its end raises
            log.debug("a connection could not be closed: %s", type(error).__name__)

"""Disposal: closing everything an engine has opened, in bounded time, with a server that doesn't answer too."""

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

CLOSE_WITHIN: Final = 0.4
"""Seconds that the goodbyes of all connections have together."""

log = logging.getLogger("unitwork.database")


class Disposal:
    """Of one engine, from its opening. SQLAlchemy's own closes one idle connection after the other, each as slowly as
    its server, and leaves alone what is in use.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._opened_by = os.getpid()
        self._entries: WeakSet[ConnectionPoolEntry] = WeakSet()
        event.listen(engine.sync_engine, "connect", self._opened)

    async def dispose(self) -> None:
        """Say goodbye on every idle connection at once, and drop those in use, or late."""
        if os.getpid() != self._opened_by:
            # A forked child that leaves its parent's block must not say goodbye on its parent's sockets.
            self._engine.sync_engine.dispose(close=False)
            return
        entries = [entry for entry in self._entries if entry.dbapi_connection is not None]
        for entry in entries:
            if entry.in_use:
                self._drop(entry)
        goodbyes = {
            asyncio.create_task(greenlet_spawn(self._say_goodbye, entry)): entry
            for entry in entries
            if not entry.in_use
        }
        try:
            if goodbyes:
                await asyncio.wait(goodbyes, timeout=CLOSE_WITHIN)
        finally:
            for goodbye, entry in goodbyes.items():
                if not goodbye.done():
                    goodbye.cancel()
                    self._drop(entry)
            # Nothing is left to be closed.
            self._engine.sync_engine.dispose(close=False)

    def _say_goodbye(self, entry: ConnectionPoolEntry) -> None:
        """Not by the entry's own `close`, which logs a traceback for one that comes too late and is dropped."""
        dialect, connection = self._engine.sync_engine.dialect, entry.dbapi_connection
        if connection is None:
            return
        told = self._engine.pool.dispatch.close
        try:
            if told:
                told(connection, entry)
            dialect.do_close(connection)
        except Exception as error:  # noqa: BLE001 - whatever it is, the connection is of no more use
            log.debug("a connection could not be closed in order, it is dropped: %s", type(error).__name__)
            self._drop(entry)

    def _opened(self, _connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        self._entries.add(entry)

    def _drop(self, entry: ConnectionPoolEntry) -> None:
        """Close the connection without a word to the server; whoever waits for an answer is told."""
        dialect: Any = self._engine.sync_engine.dialect
        connection = entry.dbapi_connection
        if connection is None or not dialect.has_terminate:
            return
        backend_of(dialect).interrupt(entry.driver_connection)
        dialect.do_terminate(connection)

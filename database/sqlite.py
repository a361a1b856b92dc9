"""SQLite as a database for services: one file, many readers, one writer that waits its turn.

The driver's own BEGIN comes too late for savepoints and lets two readers turn into writers and fail, so it
is off, and BEGIN is ours: IMMEDIATE for a unit that may write.
"""

from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from settings import DatabaseSettings

READ_ONLY: Final = "gatehouse_read_only"
"""Execution option: the unit reads only."""


def connect_args(settings: DatabaseSettings) -> dict[str, Any]:
    """`isolation_level=None` keeps the driver from issuing BEGIN; `timeout` is how long to wait for the writer."""
    return {"isolation_level": None, "timeout": settings.statement_timeout or 30.0}


def install(engine: AsyncEngine) -> None:
    """Register what every SQLite connection and unit needs. Safe to call again for the same engine."""
    target = engine.sync_engine
    for name, listener in (("connect", _configure), ("begin", _begin)):
        if not event.contains(target, name, listener):
            event.listen(target, name, listener)


def make_folder(arguments: list[Any]) -> None:
    """SQLite makes the file, and not the folder it is in."""
    if arguments and not str(arguments[0]).startswith("file:"):
        Path(arguments[0]).parent.mkdir(parents=True, exist_ok=True)


def _configure(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    read_only = bool(connection.get_execution_options().get(READ_ONLY))
    if connection.info.get(READ_ONLY, False) is not read_only:
        connection.exec_driver_sql(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")
        connection.info[READ_ONLY] = read_only
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

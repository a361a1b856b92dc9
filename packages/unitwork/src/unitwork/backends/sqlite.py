"""SQLite as a database for services: one file, many readers, one writer that waits its turn.

The driver's own BEGIN comes too late for savepoints and lets two readers turn into writers and fail, so it
is off, and BEGIN is ours: IMMEDIATE for a unit that may write.
"""

import asyncio
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from unitwork.backends.backend import Backend, Listener
from unitwork.backends.shielded_task import close_shielded
from unitwork.backends.transaction_events import listen
from unitwork.held_connection import send_own
from unitwork.options import Options
from unitwork.unit import Unit

CLOSE_TIMEOUT: Final = 0.25
"""Seconds that a connection which is given up may keep its caller."""
_QUERY_ONLY: Final = "unitwork_query_only"
"""Under this key a pooled connection remembers how it was left, so that the pragma is sent only when it changes."""

WRITER_TIMEOUT: Final = 30.0
"""Seconds that a unit waits for the one writer, where the settings say nothing else."""

WRITER_TIMEOUT_OPTION: Final = "unitwork_writer_timeout"
"""The execution option under which an engine says how long that is."""


def make_folder(arguments: list[Any]) -> None:
    """SQLite makes the file, and not the folder it is in."""
    if arguments and not str(arguments[0]).startswith("file:"):
        Path(arguments[0]).parent.mkdir(parents=True, exist_ok=True)


def configure(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    """For every new connection: readers don't wait for the writer, and foreign keys count."""
    driver: Any = connection
    if driver.isolation_level is not None:
        driver.isolation_level = None  # BEGIN is ours, on an engine of the caller's too
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def interrupt(driver: Any) -> None:
    """Have the statement that runs in the driver's thread fail as interrupted. One that waits for a lock may not
    notice. A connection that is closed, or about to hear that it is, has none.
    """
    with suppress(StopIteration, ValueError, sqlite3.ProgrammingError):
        driver.interrupt().send(None)  # awaits nothing


def abandon(connection: Connection) -> None:
    """End the statement that runs in the driver's thread, and its transaction: its caller waits for it no longer.

    Without the interrupt the connection could not be closed before the statement's own end. Without the rollback
    SQLite keeps a closed connection, and its write lock, for as long as anything refers to a cursor of it.
    """
    driver = connection.connection.driver_connection
    if driver is None:
        return
    interrupt(driver)
    rollback = driver.rollback()
    with suppress(StopIteration, ValueError):
        rollback.send(None)  # puts itself into the thread's queue, before the close that follows; nobody waits
    rollback.close()


def close_in_time(engine: AsyncEngine) -> None:
    """Have a connection that is given up closed by its own thread, however long that takes, and its caller wait for
    `CLOSE_TIMEOUT` only: a statement that waits for another process's lock can't be interrupted.
    """
    closing: set[asyncio.Task[None]] = set()

    async def close(connection: Any) -> None:
        task = asyncio.get_running_loop().create_task(connection.driver_connection.close())
        closing.add(task)
        task.add_done_callback(closing.discard)
        await asyncio.wait((task,), timeout=CLOSE_TIMEOUT)

    close_shielded(engine, close)


def refuse_writes(connection: Connection, *, refuse: bool) -> None:
    """Have the connection refuse writes, or take them again. Remembered with the pooled connection, so that one that
    was given back in the other state is put right by its next unit.
    """
    if connection.info.get(_QUERY_ONLY, False) is not refuse:
        send_own(connection, f"PRAGMA query_only = {'ON' if refuse else 'OFF'}")
        connection.info[_QUERY_ONLY] = refuse


class SQLite(Backend):
    names = frozenset({"sqlite"})
    extra = "sqlite"
    one_writer = True
    in_file = True
    questions = "SELECT NULL, NULL, NULL, NULL"

    def connect_args(self, settings: Options) -> dict[str, Any]:
        """`isolation_level=None` keeps the driver from issuing BEGIN; `timeout` is how long to wait for the writer."""
        return {"isolation_level": None, "timeout": settings.statement_timeout or WRITER_TIMEOUT}

    def before_connecting(self, arguments: list[Any], options: dict[str, Any]) -> dict[str, Any]:
        from unitwork.backends import sqlite_thread  # noqa: PLC0415 - its driver is an extra

        make_folder(arguments)
        return {"async_creator_fn": sqlite_thread.connect} | options

    def driver_options(self, *, read_only: bool, isolation: str | None, transactional: bool) -> dict[str, Any]:
        return {}  # BEGIN is ours

    def install(self, engine: AsyncEngine, *, begin: Listener, commit: Listener, rollback: Listener) -> None:
        listen(engine, begin=begin, commit=commit, rollback=rollback)
        event.listen(engine.sync_engine, "connect", configure)
        close_in_time(engine)

    def begin(self, connection: Connection, unit: Unit | None) -> None:
        """BEGIN for a unit, IMMEDIATE when it may write; nothing for one that runs without a transaction."""
        read_only = unit is not None and (unit.read_only or unit.blocked_by is not None)
        refuse_writes(connection, refuse=read_only)
        if unit is None or unit.transactional:
            send_own(connection, "BEGIN" if read_only else "BEGIN IMMEDIATE")

    def refuse_writes(self, connection: Connection, unit: Unit) -> None:
        refuse_writes(connection, refuse=True)

    def take_writes(self, connection: Connection, unit: Unit) -> None:
        refuse_writes(connection, refuse=False)

    def interrupt(self, driver: Any) -> bool:
        interrupt(driver)
        return True

    def abort(self, driver: Any) -> None:
        interrupt(driver)

    def abandon(self, connection: Connection) -> None:
        abandon(connection)

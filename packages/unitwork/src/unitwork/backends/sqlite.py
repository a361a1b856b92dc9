"""SQLite for services: one file, many readers, one writer at a time.

The driver's own BEGIN comes too late for savepoints, and lets two readers that turn into writers fail. So it is off,
and BEGIN is ours: IMMEDIATE for a unit that may write.
"""

import asyncio
import gc
import os
import random
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import await_only

from unitwork.backends.backend import Backend, Listener
from unitwork.backends.shielded_task import close_shielded
from unitwork.backends.transaction_events import listen
from unitwork.held_connection import send_own
from unitwork.options import Options
from unitwork.unit import Unit

PRIVATE_FOLDER: Final = 0o700
PRIVATE_FILE: Final = 0o600
CLOSE_TIMEOUT_SECONDS: Final = 0.25
"""Seconds that closing a discarded connection may delay its caller."""
_QUERY_ONLY: Final = "unitwork_query_only"
"""Key in a pooled connection's `info` that holds its read-only state, so that the pragma is sent only when it
changes.
"""

WAL_PAUSE_SECONDS: Final = 0.01
"""Mean seconds between two attempts to turn a file that others use to WAL."""

WRITER_TIMEOUT: Final = 30.0
"""Seconds that a unit waits for the writer, if the settings give no other timeout."""

WRITER_TIMEOUT_OPTION: Final = "unitwork_writer_timeout"
"""Execution option of an engine: the time in seconds that its units wait for the writer."""


def make_file(arguments: list[Any]) -> None:
    """Create the database's folder and file with owner-only permissions. SQLite itself creates no folder, and its file
    by the umask; its side files (`-wal`, `-shm`) inherit the file's mode. Existing ones are left unchanged.
    """
    if arguments and not str(arguments[0]).startswith("file:"):
        path = Path(arguments[0])
        path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE))


def configure(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    """Configure a new connection: WAL, so that readers don't wait for the writer; foreign keys enforced; deleted data
    overwritten, as the file's free pages would keep it.
    """
    driver: Any = connection
    if driver.isolation_level is not None:
        driver.isolation_level = None  # BEGIN is ours, also on an engine that the caller built
    cursor = connection.cursor()
    _use_wal(cursor)
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON", "secure_delete = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _use_wal(cursor: DBAPICursor) -> None:
    """Turn the file to WAL, waiting for others as long as a unit waits for the writer. SQLite itself doesn't wait here:
    of several processes that open a new file at once all but one were refused as "locked".
    """
    cursor.execute("PRAGMA busy_timeout")
    (timeout_ms,) = cursor.fetchone() or (0,)
    timeout = timeout_ms / 1000
    begun = time.monotonic()
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() - begun > timeout:
                raise
            await_only(asyncio.sleep(random.uniform(0.5, 1.5) * WAL_PAUSE_SECONDS))  # noqa: S311 - no secret
        else:
            return


def interrupt(driver: Any) -> None:
    """Make the statement in the driver's thread fail as interrupted.

    A statement that waits for a lock may not react. Does nothing for a connection that is closed or being closed.
    """
    with suppress(StopIteration, ValueError, sqlite3.ProgrammingError):
        driver.interrupt().send(None)  # awaits nothing


def abandon(driver: Any) -> None:
    """End the statement that runs in the driver's thread, and its transaction: its caller waits for it no longer.

    Without the interrupt, the connection could be closed only after the statement's own end. Without the rollback,
    SQLite keeps a closed connection and its write lock as long as a cursor of it is referenced.
    """
    interrupt(driver)
    with suppress(StopIteration, ValueError):
        rollback = driver._execute(_roll_back, driver._conn)  # noqa: SLF001 - aiosqlite's way to its thread has no public name
        rollback.send(None)  # queues it in the thread, before the close that follows; not awaited
        rollback.close()


def _roll_back(connection: sqlite3.Connection) -> None:
    """Roll back, in the connection's thread. A statement with unread rows stays interrupted and makes the rollback fail
    as interrupted, too: then its cursor is closed first.
    """
    with suppress(sqlite3.Error):
        try:
            connection.rollback()
        except sqlite3.OperationalError:
            for cursor in gc.get_referrers(connection):  # sqlite3 offers no list of a connection's cursors
                if isinstance(cursor, sqlite3.Cursor):
                    cursor.close()
            connection.rollback()


def close_in_time(engine: AsyncEngine) -> None:
    """Close discarded connections in their own thread, however long it takes, and delay their caller by at most
    `CLOSE_TIMEOUT_SECONDS`: a statement that waits for another process's lock can't be interrupted.
    """
    closing: set[asyncio.Task[None]] = set()

    async def close(connection: Any) -> None:
        task = asyncio.get_running_loop().create_task(connection.driver_connection.close())
        closing.add(task)
        task.add_done_callback(closing.discard)
        await asyncio.wait((task,), timeout=CLOSE_TIMEOUT_SECONDS)

    close_shielded(engine, close)


def refuse_writes(connection: Connection, *, refuse: bool) -> None:
    """Make the connection refuse writes, or accept them again. The state is kept with the pooled connection, so that
    the next unit can correct it.
    """
    if connection.info.get(_QUERY_ONLY, False) is not refuse:
        send_own(connection, f"PRAGMA query_only = {'ON' if refuse else 'OFF'}")
        connection.info[_QUERY_ONLY] = refuse


def _empty_log(file: str, *, uri: bool) -> bool:
    try:
        with closing(sqlite3.connect(file, timeout=CLOSE_TIMEOUT_SECONDS, uri=uri)) as connection:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError:
        return False
    return not busy


class SQLite(Backend):
    names = frozenset({"sqlite"})
    extra = "sqlite"
    one_writer = True
    in_file = True
    server_facts_query = "SELECT NULL, NULL, NULL, NULL"

    def connect_args(self, settings: Options) -> dict[str, Any]:
        """Return the driver's arguments: `isolation_level=None` keeps the driver from sending BEGIN, `timeout` is the
        wait for the writer.
        """
        return {"isolation_level": None, "timeout": settings.statement_timeout or WRITER_TIMEOUT}

    def before_connecting(self, arguments: list[Any], options: dict[str, Any]) -> dict[str, Any]:
        from unitwork.backends import sqlite_thread  # noqa: PLC0415 - its driver is an extra

        make_file(arguments)
        return {"async_creator_fn": sqlite_thread.connect} | options

    def driver_options(self, *, read_only: bool, isolation: str | None, transactional: bool) -> dict[str, Any]:
        return {}  # BEGIN is ours

    def install(self, engine: AsyncEngine, *, begin: Listener, commit: Listener, rollback: Listener) -> None:
        listen(engine, begin=begin, commit=commit, rollback=rollback)
        event.listen(engine.sync_engine, "connect", configure)
        close_in_time(engine)

    def begin(self, connection: Connection, unit: Unit | None) -> None:
        """Send BEGIN for a unit, IMMEDIATE if it may write; nothing for one without a transaction."""
        read_only = unit is not None and (unit.read_only or unit.blocked_by is not None)
        refuse_writes(connection, refuse=read_only)
        if unit is None or unit.transactional:
            send_own(connection, "BEGIN" if read_only else "BEGIN IMMEDIATE")

    async def overwrite_deleted(self, engine: AsyncEngine) -> bool:
        """Empty the write-ahead log, which keeps old versions of pages. Uses a connection of its own with a short
        timeout: a pooled one would wait as long as a writer does.
        """
        arguments, options = engine.dialect.create_connect_args(engine.url)
        return await asyncio.to_thread(_empty_log, str(arguments[0]), uri=bool(options.get("uri")))

    def refuse_writes(self, connection: Connection, unit: Unit) -> None:
        refuse_writes(connection, refuse=True)

    def take_writes(self, connection: Connection, unit: Unit) -> None:
        refuse_writes(connection, refuse=False)

    def interrupt(self, driver: Any) -> bool:
        interrupt(driver)
        return True

    def abort(self, driver: Any) -> None:
        interrupt(driver)

    def abandon(self, driver: Any) -> None:
        abandon(driver)

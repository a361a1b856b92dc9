"""MariaDB and MySQL through asyncmy: connection settings, transactions, and the end of abandoned statements.

By default the driver begins a transaction with any statement, and COMMIT is sent even without one. Here its autocommit
is on and START TRANSACTION is ours, as on SQLite; so statements outside a transaction cost one trip.
"""

import asyncio
import logging
import math
from contextlib import suppress
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.dialects.mysql.base import MySQLDDLCompiler, MySQLTypeCompiler
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.schema import Table
from sqlalchemy.types import LargeBinary
from sqlalchemy.types import Text as TextType

from unitwork.backends import mariadb_errors
from unitwork.backends.backend import CONNECT_ARGUMENTS, Backend, Listener
from unitwork.backends.mariadb_migrations import MariaDBMigrations
from unitwork.backends.postgresql import STATEMENT_TIMEOUT_OPTION
from unitwork.backends.shielded_task import close_shielded
from unitwork.backends.transaction_events import listen
from unitwork.errors import DriverError
from unitwork.held_connection import send_own
from unitwork.options import Options
from unitwork.unit import Unit
from unitwork.urls import mysql_arguments as mysql_url

NAMES: Final = frozenset({"mysql", "mariadb"})
"""SQLAlchemy's names of the two dialects."""
CLOSE_TIMEOUT_SECONDS: Final = 0.25
"""Seconds that closing a discarded connection may delay its caller, while its statement is killed on the server."""
_LIMIT: Final = "unitwork_max_statement_time"
"""Key in a pooled connection's `info` that holds its statement timeout, which is sent only when it changes."""
_STRICT: Final = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION"
_SESSION: Final = (
    "SET SESSION time_zone = '+00:00'",
    f"SET SESSION sql_mode = '{_STRICT}'",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
)
"""Session settings: values that don't fit are errors, times are UTC, and a statement sees what is committed, as on
PostgreSQL.
"""


def is_ours(dialect: Any) -> bool:
    """True if the dialect is MariaDB's or MySQL's."""
    return dialect.name in NAMES


def prepare(engine: AsyncEngine) -> None:
    """Set up an engine's dialect: end only open transactions, create tables that compare text as the other databases
    do, and end on the server the statements that are abandoned here.
    """
    # asyncmy logs every warning of the server's, and those quote values.
    logging.getLogger("asyncmy").setLevel(logging.ERROR)
    dialect: Any = engine.sync_engine.dialect
    dialect.do_commit = _commit
    dialect.do_rollback = _roll_back
    dialect.ddl_compiler = TableCompiler
    dialect.type_compiler_cls = TypeCompiler
    dialect.type_compiler_instance = dialect.type_compiler = TypeCompiler(dialect)
    _kill_abandoned_statements(engine)


def configure(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    """Configure a new connection, also of an engine that the caller built."""
    driver: Any = connection
    driver.autocommit(True)
    cursor = driver.cursor()
    for statement in _SESSION:
        cursor.execute(statement)
    cursor.close()


def _bound(connection: Connection, unit: Unit) -> None:
    """Set the server-side statement timeout: the engine's, or a second after the unit's deadline, in case our own timer
    can't run. One trip when it changes.
    """
    bounds = [connection.get_execution_options().get(STATEMENT_TIMEOUT_OPTION) or 0.0]
    if unit.deadline is not None:
        bounds.append(max(unit.deadline - asyncio.get_running_loop().time(), 0) + 1)
    limit = min((bound for bound in bounds if bound), default=0.0)
    if connection.info.get(_LIMIT) == limit:
        return
    if getattr(connection.dialect, "is_mariadb", False):
        send_own(connection, f"SET SESSION max_statement_time = {limit:.3f}")
    else:
        send_own(connection, f"SET SESSION max_execution_time = {int(limit * 1000)}")
    connection.info[_LIMIT] = limit


def _in_transaction(connection: Any) -> bool:
    """True if a transaction is open, by the server's status flag in its latest answer."""
    return bool(connection.driver_connection.get_transaction_status())


def _commit(connection: Any) -> None:
    if _in_transaction(connection):
        connection.commit()


def _roll_back(connection: Any) -> None:
    if _in_transaction(connection):
        connection.rollback()


def _kill_abandoned_statements(engine: AsyncEngine) -> None:
    """Kill a discarded connection's thread on the server over a new connection, delaying the caller by at most
    `CLOSE_TIMEOUT_SECONDS`: otherwise the server would finish the statement and keep its locks.
    """
    dialect: Any = engine.sync_engine.dialect
    ending: set[asyncio.Task[None]] = set()

    async def kill(thread: int) -> None:
        _, options = dialect.create_connect_args(engine.url)
        options |= getattr(dialect, CONNECT_ARGUMENTS, {})
        with suppress(OSError, dialect.loaded_dbapi.Error):  # the server is gone, or the thread
            connection = await dialect.loaded_dbapi.asyncmy.connect(**options)
            try:
                await connection.query(f"KILL {thread}")
            finally:
                connection.close()

    async def end(connection: Any) -> None:
        driver = connection.driver_connection
        at_work = not driver.connected or driver.get_transaction_status()
        driver.close()
        if at_work:
            task = asyncio.get_running_loop().create_task(kill(driver.thread_id()))
            ending.add(task)
            task.add_done_callback(ending.discard)
            await asyncio.wait((task,), timeout=CLOSE_TIMEOUT_SECONDS)

    close_shielded(engine, end)


class TableCompiler(MySQLDDLCompiler):
    """Creates tables that compare text by code point including trailing blanks, as on SQLite and PostgreSQL: two e-mail
    keys are equal only when they are the same.
    """

    def post_create_table(self, table: Table) -> str:
        options = super().post_create_table(table)
        if "COLLATE" in options:
            return options
        collation = "utf8mb4_nopad_bin" if getattr(self.dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
        return f"{options} DEFAULT CHARSET=utf8mb4 COLLATE={collation}"

    def define_constraint_deferrability(self, constraint: Any) -> str:
        """Return nothing: InnoDB checks every foreign key with its statement, which is stricter than a deferred
        check.
        """
        return ""


class TypeCompiler(MySQLTypeCompiler):
    """Gives text and bytes without a length the same capacity as elsewhere, not 64 KiB."""

    def visit_TEXT(self, type_: Any, **options: Any) -> str:  # noqa: N802 - SQLAlchemy's name
        if type(type_) is TextType and type_.length is None:
            return "LONGTEXT"
        return super().visit_TEXT(type_, **options)

    def visit_VARCHAR(self, type_: Any, **options: Any) -> str:  # noqa: N802 - as above
        return "LONGTEXT" if type_.length is None else super().visit_VARCHAR(type_, **options)

    def visit_large_binary(self, type_: LargeBinary, **options: Any) -> str:
        return "LONGBLOB" if type_.length is None else super().visit_large_binary(type_, **options)


class MariaDB(Backend):
    """Backend of MariaDB and MySQL."""

    names = NAMES
    extra = "mysql"
    says_wait = True
    upserts_by_key = False
    migrations = MariaDBMigrations()
    writable = "NOT @@global.read_only"
    server_facts_query = "SELECT unix_timestamp(now(6)), @@max_connections, NULL, NULL"

    def connect_args(self, settings: Options) -> dict[str, Any]:
        """Return the driver's arguments; the URL's settings override ours.

        The driver takes whole seconds for connecting. Bytes are marked with a prefix, or the server would read them as
        text.
        """
        return {
            "connect_timeout": math.ceil(settings.connect_timeout),
            "autocommit": True,
            "charset": "utf8mb4",
            "binary_prefix": True,
            **mysql_url.arguments(settings.url),
        }

    def driver_options(self, *, read_only: bool, isolation: str | None, transactional: bool) -> dict[str, Any]:
        return {}  # START TRANSACTION is ours

    def install(self, engine: AsyncEngine, *, begin: Listener, commit: Listener, rollback: Listener) -> None:
        listen(engine, begin=begin, commit=commit, rollback=rollback)
        event.listen(engine.sync_engine, "connect", configure)
        prepare(engine)

    def begin(self, connection: Connection, unit: Unit | None) -> None:
        """Send START TRANSACTION for a unit, or for a connection without one; for a unit without a transaction only set
        the statement timeout.
        """
        if unit is not None:
            _bound(connection, unit)
            if not unit.transactional:
                return
            if unit.isolation is not None:
                send_own(connection, f"SET TRANSACTION ISOLATION LEVEL {unit.isolation}")
        elif connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
            return
        send_own(connection, f"START TRANSACTION{' READ ONLY' if unit is not None and unit.read_only else ''}")

    def refuse_writes(self, connection: Connection, unit: Unit) -> None:
        if not unit.transactional:
            send_own(connection, "SET SESSION TRANSACTION READ ONLY")

    def take_writes(self, connection: Connection, unit: Unit) -> None:
        if not unit.transactional:
            send_own(connection, "SET SESSION TRANSACTION READ WRITE")

    def takes_no_writes(self, error: DriverError, driver: Any) -> bool:
        return error.sqlstate in mariadb_errors.NOT_PRIMARY

    def abort(self, driver: Any) -> None:
        driver.close()

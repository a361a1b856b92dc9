"""MariaDB, and MySQL, through asyncmy: what a connection is opened with, how its transactions begin and end, and how a
statement is ended whose caller waits no longer.

The driver's own way is a transaction that begins by itself with any statement and a COMMIT sent for none. Here its
autocommit is on and START TRANSACTION is ours, as on SQLite; so statements outside a transaction cost one trip.
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

from unitwork.backends.backend import Backend, Listener
from unitwork.backends.postgresql import STATEMENT_TIMEOUT_OPTION
from unitwork.backends.shielded_task import close_shielded
from unitwork.backends.transaction_events import listen
from unitwork.held_connection import send_own
from unitwork.options import Options
from unitwork.unit import Unit
from unitwork.urls import mysql_arguments as mysql_url

NAMES: Final = frozenset({"mysql", "mariadb"})
"""What SQLAlchemy calls the two."""
CLOSE_TIMEOUT: Final = 0.25
"""Seconds that a connection which is given up may keep its caller, its server being told to end the statement."""
_LIMIT: Final = "unitwork_max_statement_time"
"""Under this key a pooled connection remembers its bound, so that it is sent only when it changes."""
CONNECT_ARGUMENTS: Final = "unitwork_connect_args"
"""Under this name an engine's dialect knows what its connections are opened with besides the URL."""
_STRICT: Final = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION"
_SESSION: Final = (
    "SET SESSION time_zone = '+00:00'",
    f"SET SESSION sql_mode = '{_STRICT}'",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
)
"""Values that don't fit are errors, moments are UTC, and a statement sees what is committed, as on PostgreSQL."""


def is_ours(dialect: Any) -> bool:
    """Whether the dialect is one of the two."""
    return dialect.name in NAMES


def prepare(engine: AsyncEngine) -> None:
    """Have the engine's dialect end only transactions that are open, make tables that compare text as the other
    databases do, and end on the server what is given up here.
    """
    # It logs every warning of the server's, and those quote values.
    logging.getLogger("asyncmy").setLevel(logging.ERROR)
    dialect: Any = engine.sync_engine.dialect
    dialect.do_commit = _commit
    dialect.do_rollback = _roll_back
    dialect.ddl_compiler = TableCompiler
    dialect.type_compiler_cls = TypeCompiler
    dialect.type_compiler_instance = dialect.type_compiler = TypeCompiler(dialect)
    _end_what_is_given_up(engine)


def configure(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    """For every new connection, on an engine of the caller's too."""
    driver: Any = connection
    driver.autocommit(True)
    cursor = driver.cursor()
    for statement in _SESSION:
        cursor.execute(statement)
    cursor.close()


def _bound(connection: Connection, unit: Unit) -> None:
    """Have the server end a statement by itself: after the engine's statement timeout, or a second after the unit's
    deadline, should our own clock not reach it any more. One trip when it changes.
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
    """By the server's own word, which comes with every answer."""
    return bool(connection.driver_connection.get_transaction_status())


def _commit(connection: Any) -> None:
    if _in_transaction(connection):
        connection.commit()


def _roll_back(connection: Any) -> None:
    if _in_transaction(connection):
        connection.rollback()


def _end_what_is_given_up(engine: AsyncEngine) -> None:
    """A server goes on with a statement whose connection was closed, and keeps its locks: have it told, on a connection
    of its own, whoever gave it up waiting `CLOSE_TIMEOUT` at most.
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
            await asyncio.wait((task,), timeout=CLOSE_TIMEOUT)

    close_shielded(engine, end)


class TableCompiler(MySQLDDLCompiler):
    """Text is compared by code point and to its last blank, as on SQLite and PostgreSQL: two e-mail keys are equal only
    when they are the same.
    """

    def post_create_table(self, table: Table) -> str:
        options = super().post_create_table(table)
        if "COLLATE" in options:
            return options
        collation = "utf8mb4_nopad_bin" if getattr(self.dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
        return f"{options} DEFAULT CHARSET=utf8mb4 COLLATE={collation}"

    def define_constraint_deferrability(self, constraint: Any) -> str:
        """Nothing: InnoDB checks every foreign key with its statement, which refuses more than a deferred one does."""
        return ""


class TypeCompiler(MySQLTypeCompiler):
    """Text and bytes without a length hold as much as elsewhere, not 64 KiB."""

    def visit_TEXT(self, type_: Any, **options: Any) -> str:  # noqa: N802 - SQLAlchemy's name
        if type(type_) is TextType and type_.length is None:
            return "LONGTEXT"
        return super().visit_TEXT(type_, **options)

    def visit_VARCHAR(self, type_: Any, **options: Any) -> str:  # noqa: N802 - as above
        return "LONGTEXT" if type_.length is None else super().visit_VARCHAR(type_, **options)

    def visit_large_binary(self, type_: LargeBinary, **options: Any) -> str:
        return "LONGBLOB" if type_.length is None else super().visit_large_binary(type_, **options)


class MariaDB(Backend):
    """MySQL too."""

    names = NAMES
    extra = "mysql"
    says_wait = True
    upserts_by_key = False
    questions = "SELECT unix_timestamp(now(6)), @@max_connections, NULL, NULL"

    def connect_args(self, settings: Options) -> dict[str, Any]:
        """Whole seconds are what the driver takes for connecting. Bytes are marked as such, or they would be read as
        text. What the URL asks for counts before our own.
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
        """START TRANSACTION for a unit, or for a connection that works for none; for a unit that runs without a
        transaction its bound alone.
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

    def abort(self, driver: Any) -> None:
        driver.close()

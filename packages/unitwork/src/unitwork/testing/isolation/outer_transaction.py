"""The outer transaction of an isolated test, and the engine whose only connection is inside it.

Everything above the driver is the usual code: units, frames, hooks, outcomes. Nothing is ever committed.
"""

import asyncio
import sqlite3
from contextlib import suppress
from pkgutil import resolve_name
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from unitwork.backends import mariadb, postgresql, sqlite
from unitwork.backends.registry import backend_named
from unitwork.call_site import asking_site
from unitwork.connections.engine import build_engine
from unitwork.ids.leased_ids import LEASE_OPTION
from unitwork.options import Options
from unitwork.testing.errors import NeedsOwnDatabase
from unitwork.testing.isolation.pool import IsolatedPool
from unitwork.testing.isolation.sqlite import BEGIN_OUTER, END_STATEMENT, UNDO_STATEMENT
from unitwork.testing.isolation.sqlite import IsolatedConnection as IsolatedSQLite
from unitwork.testing.isolation.steps import refuse_end
from unitwork.unit import UNIT, Unit

NOT_IN_A_TRANSACTION: Final = {"25001", "2D000"}
"""SQLSTATEs of a statement that can't run inside a transaction."""


class OuterTransaction:
    """Owns `engine`, whose only connection is opened by its first use and closed by `end`."""

    def __init__(self, settings: Options) -> None:
        self.engine = _engine(settings)
        self._driver: Any = None
        target = self.engine.sync_engine
        event.listen(target, "connect", self._begin)
        event.listen(target, "before_cursor_execute", _before_statement)
        event.listen(target, "after_cursor_execute", _after_statement)
        event.listen(target, "handle_error", self._after_error)

    async def end(self) -> None:
        """Roll back and close the connection, even if it is in use."""
        await self.engine.dispose()
        driver = self._driver
        if driver is None:
            return
        if self.engine.dialect.name == "postgresql":
            if not driver.is_closed():
                driver.terminate()
            return
        if mariadb.is_ours(self.engine.dialect):
            driver.close()
            return
        with suppress(ValueError, sqlite3.Error):  # ValueError: it is closed already
            await driver.interrupt()
        await driver.close()

    def _begin(self, connection: Any, _record: ConnectionPoolEntry) -> None:
        try:
            if self._driver is not None:
                what = "the connection was lost, and with it the transaction that the test is in"
                raise NeedsOwnDatabase(what, asking_site() or "a helper of the machinery")
            if self.engine.dialect.name == "postgresql":
                level = str(self.engine.dialect.default_isolation_level).lower().replace(" ", "_")
                connection.run_async(lambda driver: driver.begin_outer(level))
            elif mariadb.is_ours(self.engine.dialect):
                connection.run_async(lambda driver: driver.begin_outer())
            else:
                _begin_sqlite(connection)
        except BaseException:
            connection.close()
            raise
        self._driver = connection.driver_connection

    def _after_error(self, context: ExceptionContext) -> BaseException | None:
        connection = context.connection
        if connection is None or connection.closed or connection.invalidated:
            return None
        if isinstance(context.original_exception, asyncio.CancelledError):
            # The statement has been cancelled and the savepoint undoes it, so the connection stays usable.
            context.is_disconnect = False
            _forget_state(connection)
        if not context.is_disconnect and _autocommits(connection):
            _end_statement(connection, undo=True)
        if _refuses_transactions(context.original_exception):
            return NeedsOwnDatabase("a statement can't run inside a transaction", asking_site() or "the engine")
        return None


def _engine(settings: Options) -> AsyncEngine:
    if settings.url.get_backend_name() == "sqlite":
        arguments = backend_named(settings.url.get_backend_name()).connect_args(settings) | {"factory": IsolatedSQLite}
    elif settings.url.get_backend_name() in mariadb.NAMES:
        connect = resolve_name("unitwork.testing.isolation.mariadb:connect")  # its driver is an optional dependency
        arguments = backend_named(settings.url.get_backend_name()).connect_args(settings) | {
            "async_creator_fn": connect
        }
    else:
        kind = resolve_name("unitwork.testing.isolation.postgresql:IsolatedConnection")  # likewise
        arguments = backend_named(settings.url.get_backend_name()).connect_args(settings) | {"connection_class": kind}
    return build_engine(
        settings,
        connect_args=arguments,
        poolclass=IsolatedPool,
        pool_size=1,
        max_overflow=0,
        pool_recycle=-1,
        execution_options={sqlite.WRITER_TIMEOUT_OPTION: None, postgresql.BOUND_OPTION: False, LEASE_OPTION: False},
    )


def _begin_sqlite(connection: Any) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute(BEGIN_OUTER)
    except sqlite3.OperationalError as error:
        what = f"the file's one writer is somebody else, perhaps this test's own second connection: {error}"
        raise NeedsOwnDatabase(what, asking_site() or "the first statement") from error
    finally:
        cursor.close()


def _forget_state(connection: Connection) -> None:
    """Reset the pragmas: a cancelled one may or may not have taken effect."""
    if connection.dialect.name == "sqlite":
        adapter: Any = connection.connection.dbapi_connection
        connection.info.clear()
        cursor = adapter.cursor()
        cursor.execute("PRAGMA query_only = OFF")
        cursor.close()


def _refuses_transactions(error: BaseException) -> bool:
    if isinstance(error, sqlite3.OperationalError):
        return "from within a transaction" in str(error)
    return getattr(error, "sqlstate", None) in NOT_IN_A_TRANSACTION


def _autocommits(connection: Connection) -> bool:
    """True if each statement commits by itself."""
    unit = _unit(connection)
    autocommit: bool = connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
    return autocommit or (unit is not None and not unit.transactional)


def _unit(connection: Connection) -> Unit | None:
    return connection.get_execution_options().get(UNIT)


def _before_statement(
    connection: Connection, cursor: Any, statement: str, _parameters: Any, _context: Any, _many: bool
) -> None:
    if connection.dialect.name != "postgresql":
        return
    unit = _unit(connection)
    if unit is None or not unit.transactional:  # inside a transaction the unit refuses it itself
        refuse_end(statement)
    if not _autocommits(connection):
        return
    if cursor.server_side:
        raise NeedsOwnDatabase("rows were streamed outside a transaction", asking_site() or "the engine")
    # The adapter begins a transaction unless the level is AUTOCOMMIT, and `_after_statement` commits it.
    adapter: Any = connection.connection.dbapi_connection
    adapter.isolation_level = None
    adapter.readonly = unit is not None and unit.read_only_engaged


def _after_statement(
    connection: Connection, _cursor: Any, _statement: str, _parameters: Any, _context: Any, _many: bool
) -> None:
    if _autocommits(connection):
        _end_statement(connection, undo=False)


def _end_statement(connection: Connection, *, undo: bool) -> None:
    adapter: Any = connection.connection.dbapi_connection
    if connection.dialect.name == "sqlite":
        cursor = adapter.cursor()
        cursor.execute(UNDO_STATEMENT if undo else END_STATEMENT)
        cursor.close()
    elif mariadb.is_ours(connection.dialect):
        pass  # the database has undone it
    elif undo:
        adapter.rollback()
    else:
        adapter.commit()

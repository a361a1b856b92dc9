"""What every engine tells its units: transactions that begin and end, savepoints, errors.

Listeners are functions without state, registered once for each engine; which unit a connection works for stands in
its execution options.
"""

import asyncio
import re
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from database import postgresql, sqlite
from database.connecting import name_connect_failures
from database.driver_errors import translate
from database.errors import (
    DriverError,
    ReadOnlyTransaction,
    SecondWriterImpossible,
    TransactionIsOurs,
    TransactionRolledBack,
)
from database.unit import UNIT, Unit

_END: Final = re.compile(
    r"(?:\s|;|\(|--[^\n]*(?:\n|$)|/\*.*?\*/)*(COMMIT|END|ROLLBACK(?!(?:\s+(?:WORK|TRANSACTION))?\s+TO\b)|ABORT|BEGIN|START)\b",
    re.IGNORECASE | re.DOTALL,
)
"""A statement that ends the transaction, or begins one; comments before it don't hide it."""
_METHODS: Final = {
    "COMMIT": "commit",
    "END": "commit",
    "ROLLBACK": "rollback",
    "ABORT": "rollback",
    "BEGIN": "begin",
    "START": "begin",
}

WRITE_REFUSED: Final = frozenset({"25006", "SQLITE_READONLY"})
"""What databases answer to a write where only reading is allowed."""


def install(engine: AsyncEngine) -> None:
    """Register what every engine needs, one of the caller's too. Safe to call again for the same engine."""
    target = engine.sync_engine
    if event.contains(target, "handle_error", _error):
        return
    event.listen(target, "handle_error", _error)
    name_connect_failures(engine)
    event.listen(target, "before_cursor_execute", _before_statement)
    event.listen(target, "begin", _begin)
    event.listen(target, "commit", _commit)
    event.listen(target, "rollback", _rollback)
    event.listen(target, "savepoint", _savepoint)
    event.listen(target, "rollback_savepoint", _rollback_savepoint)
    event.listen(target, "release_savepoint", _release_savepoint)
    if target.dialect.name == "sqlite":
        event.listen(target, "connect", sqlite.configure)


def _unit(connection: Connection | None) -> Unit | None:
    return None if connection is None else connection.get_execution_options().get(UNIT)


def _error(context: ExceptionContext) -> BaseException | None:
    error = translate(context)
    connection = context.connection
    unit = _unit(connection)
    if (
        connection is not None
        and context.dialect.name == "sqlite"
        and isinstance(context.original_exception, asyncio.CancelledError)
    ):
        sqlite.abandon(connection)
    if unit is not None and isinstance(error, DriverError) and error.sqlstate in WRITE_REFUSED:
        if unit.blocked_by is not None:
            error = SecondWriterImpossible(unit.blocked_by)
        elif unit.refuses_writes:
            error = ReadOnlyTransaction()
    # Exceptions of listeners and of bind processing pass here too; only the database's own doom.
    if unit is not None and (context.is_disconnect or isinstance(context.sqlalchemy_exception, DBAPIError)):
        unit.failed(error or context.original_exception, connection_lost=context.is_disconnect)
    return error


def _before_statement(
    connection: Connection, _cursor: Any, statement: str, _parameters: Any, _context: Any, _many: bool
) -> None:
    """Whatever way a statement took, it is its owner's, and ends no transaction."""
    unit = _unit(connection)
    if unit is None:
        return
    unit.check_use()
    end = _END.match(statement)
    if end is not None and unit.transactional and unit.connected:  # before that, the BEGIN is ours
        raise TransactionIsOurs(_METHODS[end[1].upper()])


def _begin(connection: Connection) -> None:
    unit = _unit(connection)
    if connection.dialect.name == "sqlite":
        sqlite.begin(connection, unit)
    elif connection.dialect.name == "postgresql" and unit is not None and unit.transactional and unit.deadline:
        postgresql.bound(connection, unit.deadline)
    if unit is not None:
        unit.begun()


def _commit(connection: Connection) -> None:
    unit = _unit(connection)
    if unit is None or unit.ending or not unit.transactional:
        return
    refusal = TransactionIsOurs("commit")
    unit.root.doom(refusal)
    # Raising here would give the connection back with its transaction open.
    dbapi_connection: Any = connection.connection.dbapi_connection
    dbapi_connection.rollback()
    raise refusal


def _rollback(connection: Connection) -> None:
    unit = _unit(connection)
    if unit is not None and not unit.ending and unit.transactional:
        unit.root.doom(None)


def _savepoint(connection: Connection, name: str) -> None:
    unit = _unit(connection)
    if unit is not None:
        unit.push(name)


def _rollback_savepoint(connection: Connection, name: str, _context: Any) -> None:
    unit = _unit(connection)
    if unit is not None:
        unit.pop_rolled_back(name)


def _release_savepoint(connection: Connection, _name: str, _context: Any) -> None:
    unit = _unit(connection)
    if unit is None or len(unit.frames) < 2:
        return
    if unit.top.doomed:
        # PostgreSQL refuses to release it, and SQLite would keep its half: both end the same way.
        cause = unit.frames.pop().cause
        unit.top.doom(cause)
        raise TransactionRolledBack from cause
    unit.pop_released()

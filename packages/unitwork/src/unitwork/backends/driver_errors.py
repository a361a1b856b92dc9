"""Driver errors: translated to the typed tree of `unitwork.errors`, in this one place.

Registered on the engine (`handle_error`), so it applies to ORM, Core and textual SQL alike. Sources: PostgreSQL
appendix A (SQLSTATE), sqlite.org/rescode.html; MariaDB's numbers are in `unitwork.backends.mariadb_errors`.
"""

import re
import sqlite3
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from sqlalchemy import Connection, Table
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, StatementError

from unitwork.backends import mariadb_errors, outdated
from unitwork.backends.address import in_force
from unitwork.errors import (
    CheckViolation,
    CommitOutcomeUnknown,
    ConnectionLost,
    ConstraintViolation,
    DatabaseError,
    DeadlockDetected,
    DriverError,
    ForeignKeyViolation,
    LockNotAvailable,
    NotNullViolation,
    SchemaOutdated,
    SerializationFailure,
    StatementOutdated,
    StatementTimeout,
    UniqueViolation,
)

_BY_SQLSTATE: Final[dict[str, type[DriverError]]] = {
    "23503": ForeignKeyViolation,
    "23502": NotNullViolation,
    "23505": UniqueViolation,
    "23514": CheckViolation,
    "40001": SerializationFailure,
    "40P01": DeadlockDetected,
    "55P03": LockNotAvailable,
    "57014": StatementTimeout,
    "25P04": StatementTimeout,
    "57P01": ConnectionLost,
    "57P02": ConnectionLost,
    "57P03": ConnectionLost,
    "57P05": ConnectionLost,
    "25P03": ConnectionLost,
    "42P01": SchemaOutdated,
    "42703": SchemaOutdated,
}
_BY_SQLITE_NAME: Final[dict[str, type[DriverError]]] = {
    "SQLITE_CONSTRAINT_UNIQUE": UniqueViolation,
    "SQLITE_CONSTRAINT_PRIMARYKEY": UniqueViolation,
    "SQLITE_CONSTRAINT_FOREIGNKEY": ForeignKeyViolation,
    "SQLITE_CONSTRAINT_NOTNULL": NotNullViolation,
    "SQLITE_CONSTRAINT_CHECK": CheckViolation,
    "SQLITE_BUSY": LockNotAvailable,
    "SQLITE_BUSY_TIMEOUT": LockNotAvailable,
    "SQLITE_BUSY_SNAPSHOT": SerializationFailure,
    "SQLITE_LOCKED": LockNotAvailable,
    "SQLITE_INTERRUPT": StatementTimeout,
    "SQLITE_SCHEMA": StatementOutdated,
}
LOST: Final = "08003"
"""SQLSTATE connection_does_not_exist: asyncpg's code for a connection that broke during a statement."""
_QUOTES_NO_VALUE: Final = ("08", "25", "26", "40", "42", "53", "54", "55", "57")
"""SQLSTATE classes whose messages name only objects and states. Messages of others may quote values that were sent."""


def translate(context: ExceptionContext) -> BaseException | None:
    """Return the typed error to raise instead, or None to keep the original; the engine's `handle_error` listener."""
    if isinstance(context.original_exception, DatabaseError):
        # One of our own errors, from a listener or a column default, which SQLAlchemy would wrap.
        return context.original_exception if context.sqlalchemy_exception is not None else None
    if isinstance(context.sqlalchemy_exception, DBAPIError):
        if any(getattr(link, "outcome_unknown", False) for link in _chain(context.original_exception)):
            return CommitOutcomeUnknown(replicated=False)
        error = _typed(context)
        engine = getattr(context, "engine", None)
        if isinstance(error, SchemaOutdated) and engine is not None:
            error.target = in_force(engine)
        for link in _chain(context.original_exception):
            _forget_values(link, error)
        return error
    if isinstance(context.sqlalchemy_exception, StatementError):
        # Raised on the client while the statement was prepared (a column default, a bind value): SQLAlchemy would wrap
        # it, and the caller could not catch a `NoActingUser`.
        if isinstance(context.original_exception, LookupError):
            context.original_exception.args = ("a value is none of its column's choices",)
        return context.original_exception
    if _of_fetch(context):
        return _typed(context)
    if _broken_io(context):
        context.is_disconnect = True
        return ConnectionLost(_words([context.original_exception], LOST), sqlstate=LOST)
    return None


def raise_sent(connection: Connection, error: BaseException) -> NoReturn:
    """Raise the driver's error of a statement sent without SQLAlchemy, as SQLAlchemy's adapter raises it for its own
    cursors.
    """
    if isinstance(error, Exception):
        adapter: Any = connection.connection.dbapi_connection
        adapter._handle_exception(error)  # noqa: SLF001 - only the adapter can recognise the driver's errors, and it has no public name for it
    raise error


def _of_fetch(context: ExceptionContext) -> bool:
    """True if the error is one of the driver's from fetching a stream's rows, which the adapter passes on
    untranslated.
    """
    driver = getattr(context.dialect.loaded_dbapi, "asyncpg", None)
    if driver is None or context.sqlalchemy_exception is not None or context.is_disconnect:
        return False
    return isinstance(context.original_exception, driver.PostgresError | driver.OutdatedSchemaCacheError)


def _broken_io(context: ExceptionContext) -> bool:
    """True if the driver passes on, untranslated, that its socket or protocol broke under a statement. SQLAlchemy takes
    neither for a lost connection.
    """
    driver = getattr(context.dialect.loaded_dbapi, "asyncpg", None)
    broken = (OSError,) if driver is None else (OSError, driver.InternalClientError)
    error = context.original_exception
    return context.sqlalchemy_exception is None and isinstance(error, broken) and not isinstance(error, TimeoutError)


def _typed(context: ExceptionContext) -> DriverError:
    links = list(_chain(context.original_exception))
    sqlstate = next((state for link in links if isinstance(state := getattr(link, "sqlstate", None), str)), None)
    name = next((name for link in links if isinstance(name := getattr(link, "sqlite_errorname", None), str)), None)
    if context.is_disconnect:
        if (lost := mariadb_errors.lost(links)) is not None:
            return lost
        return ConnectionLost(_words(links, sqlstate), sqlstate=sqlstate)
    if (stale := outdated.named(links)) is not None:
        return stale
    if name == "SQLITE_ERROR" and str(links[-1]).startswith(("no such table", "no such column")):
        return SchemaOutdated(str(links[-1]), sqlstate=name)
    if (refusal := mariadb_errors.refusal(links, _table(context))) is not None:
        return refusal
    if name is not None:
        return _instance(_BY_SQLITE_NAME.get(name, DriverError), links, name)
    if sqlstate is not None:
        return _instance(_BY_SQLSTATE.get(sqlstate, DriverError), links, sqlstate)
    return DriverError(_words(links, None))


def _table(context: ExceptionContext) -> Table | None:
    """Return the table that the statement writes to; None for textual SQL."""
    compiled = getattr(getattr(context, "execution_context", None), "compiled", None)
    table = getattr(getattr(compiled, "statement", None), "table", None)
    return table if isinstance(table, Table) else None


def _instance(kind: type[DriverError], links: list[BaseException], code: str | None) -> DriverError:
    if issubclass(kind, ConstraintViolation):
        constraint = next((name for link in links if (name := getattr(link, "constraint_name", None))), None)
        return kind(
            constraint=constraint or _sqlite_check(links),
            columns=_columns(links),
            sqlstate=code,
        )
    return kind(_words(links, code), sqlstate=code)


def _columns(links: list[BaseException]) -> tuple[str, ...]:
    """Return the columns of a violated constraint, from PostgreSQL's `Key (a, b)=(…)` or `column_name`, or SQLite's `…
    failed: table.a, table.b`.
    """
    for link in links:
        if isinstance(link, sqlite3.Error):
            kind, found, names = str(link).partition(" constraint failed: ")
            if kind == "CHECK":
                return ()
            return tuple(name.strip().rpartition(".")[2] for name in names.split(",")) if found else ()
        if key := re.match(r"Key \((.*?)\)=", getattr(link, "detail", None) or ""):
            return tuple(name.strip().strip('"') for name in key[1].split(","))
        if column := getattr(link, "column_name", None):
            return (column,)
    return ()


def _sqlite_check(links: list[BaseException]) -> str | None:
    """Return the name of a violated CHECK on SQLite; None for an unnamed one, of which it quotes the expression."""
    named = re.fullmatch(r"CHECK constraint failed: (\w+)", str(links[-1]))
    return named[1] if named else None


def _words(links: list[BaseException], code: str | None) -> str:
    error = links[-1]
    if isinstance(error, sqlite3.Error) or code is None or code.startswith(_QUOTES_NO_VALUE):
        text = str(error.args[0]) if error.args else ""
        return text or type(error).__name__
    return type(error).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the driver's error and its causes, outermost first."""
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__


def _forget_values(link: BaseException, error: DriverError) -> None:
    """Remove values from a driver's error: it quotes rows in message and DETAIL, and a logged traceback would print
    them.
    """
    if isinstance(link, sqlite3.Error):
        return
    link.args = (str(error),)
    for name in ("detail", "hint", "where", "internal_query", "message"):
        if getattr(link, name, None):
            setattr(link, name, None)

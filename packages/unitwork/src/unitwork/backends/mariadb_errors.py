"""MariaDB and MySQL errors by number, as their SQLSTATEs are too coarse (23000 is every constraint).

Source: MariaDB's error code list. The driver renders values into the statement, and a syntax error quotes the
statement: so only messages of the numbers listed here are passed on, and only the names in messages about constraints.
"""

import re
from typing import Final

from sqlalchemy import Index, Table, UniqueConstraint

from unitwork.errors import (
    CheckViolation,
    ConnectionLost,
    ConstraintViolation,
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

_KEY: Final = r"for key '(?:[^'.]*\.)?([^']+)'$"
"""Anchored at the end, as the value quoted before it may contain anything."""
_KINDS: Final[dict[int, tuple[type[ConstraintViolation], str]]] = {
    1062: (UniqueViolation, _KEY),
    1169: (UniqueViolation, _KEY),
    1216: (ForeignKeyViolation, r"(?!)"),
    1217: (ForeignKeyViolation, r"(?!)"),
    1451: (ForeignKeyViolation, r"CONSTRAINT `([^`]+)`"),
    1452: (ForeignKeyViolation, r"CONSTRAINT `([^`]+)`"),
    1048: (NotNullViolation, r"(?!)"),
    1364: (NotNullViolation, r"(?!)"),
    3819: (CheckViolation, r"constraint '([^']+)' is violated"),
    4025: (CheckViolation, r"CONSTRAINT `([^`]+)`"),
}
"""Error class of a number, and the pattern of the constraint's name in its message."""
_COLUMNS: Final[dict[int, str]] = {
    1048: r"Column '([^']+)'",
    1364: r"Field '([^']+)'",
    1451: r"REFERENCES [^(]+\(([^)]+)\)",
    1452: r"FOREIGN KEY \(([^)]+)\)",
}
_STATES: Final[dict[int, tuple[type[DriverError], str]]] = {
    1213: (DeadlockDetected, "deadlock found"),
    1205: (LockNotAvailable, "a lock was not free, or not free in time"),
    3572: (LockNotAvailable, "a lock was not free"),
    1020: (SerializationFailure, "a row has changed since it was read"),
    1412: (StatementOutdated, "the schema was changed since the transaction began"),
    1615: (StatementOutdated, "the schema was changed under a prepared statement"),
    1054: (SchemaOutdated, ""),
    1146: (SchemaOutdated, ""),
    1317: (StatementTimeout, "the statement was interrupted"),
    1969: (StatementTimeout, "the statement ran too long"),
    3024: (StatementTimeout, "the statement ran too long"),
}
"""Error class and text of a number; an empty text means that the server's own, which names a schema object, is used."""
_NO_WRITES: Final[dict[int, tuple[str, str]]] = {
    1290: ("25006", "it runs with the option read_only"),
    1792: ("25006", "the session's transactions are read-only"),
    1836: ("25006", "it is in read-only mode"),
    1047: ("08S01", "the node isn't in its cluster's primary component"),
}
"""SQLSTATE and text of a server that takes no writes; 1047 is Galera's, for reads too. The server's own SQLSTATE is
HY000 for two of them.
"""
NOT_PRIMARY: Final = frozenset(state for state, _ in _NO_WRITES.values())
"""SQLSTATEs of the above, of which no other number listed here has one."""
LOST: Final = "2013"
"""asyncmy's number for a connection that broke during a statement."""
_LOST: Final = {
    2006: "the connection was closed before the statement was sent",
    2013: "the connection was closed in the middle of a statement",
}
_NAMES_OBJECTS: Final = frozenset({1044, 1049, 1054, 1146, 1305})


def refusal(links: list[BaseException], table: Table | None) -> DriverError | None:
    """Return the typed error of a driver's error and its causes; None for another database's.

    No message has a key's columns: they are looked up in `table`, the one the statement writes to, if there is one.
    """
    error = _numbered(links)
    if error is None:
        return None
    number, words = int(error.args[0]), str(error.args[1]) if len(error.args) > 1 else ""
    code = getattr(error, "sqlstate", None) or str(number)
    if number in _KINDS:
        kind, name = _KINDS[number]
        found = re.search(name, words)
        constraint, columns = found[1] if found else None, _columns(number, words)
        if kind is UniqueViolation and table is not None:
            constraint, columns = _key(table, constraint)
        return kind(constraint=constraint, columns=columns, sqlstate=code)
    if number in _NO_WRITES and (number != 1290 or re.search("read.only", words)):  # 1290 is other options' too
        code, text = _NO_WRITES[number]
        return DriverError(text, sqlstate=code)
    state, text = _STATES.get(number, (DriverError, ""))
    if number in _NAMES_OBJECTS:
        text = words
    return state(text or type(error).__name__, sqlstate=code)


def lost(links: list[BaseException]) -> ConnectionLost | None:
    """Return the typed error of a broken connection, with the driver's own number as its code; None for another
    database's.
    """
    error = _numbered(links)
    return (
        None
        if error is None
        else ConnectionLost(_LOST.get(error.args[0], type(error).__name__), sqlstate=str(error.args[0]))
    )


def _numbered(links: list[BaseException]) -> BaseException | None:
    return next((link for link in links if _number(link) is not None), None)


def _number(link: BaseException) -> int | None:
    """Return the error number; None without one, and for an operating system error, whose number has another
    meaning.
    """
    if isinstance(link, OSError) or not link.args or not isinstance(link.args[0], int):
        return None
    return link.args[0]


def _columns(number: int, words: str) -> tuple[str, ...]:
    found = re.search(_COLUMNS[number], words) if number in _COLUMNS else None
    return tuple(name.strip(" `") for name in found[1].split(",")) if found else ()


def _key(table: Table, name: str | None) -> tuple[str | None, tuple[str, ...]]:
    """Return the name and columns of a violated key. MariaDB calls the primary key PRIMARY, whatever its name."""
    if name == "PRIMARY":
        given = table.primary_key.name
        return None if given is None else str(given), tuple(column.name for column in table.primary_key.columns)
    keys: list[UniqueConstraint | Index] = [one for one in table.constraints if isinstance(one, UniqueConstraint)]
    columns = next((one.columns for one in [*keys, *table.indexes] if str(one.name) == name), ())
    return name, tuple(column.name for column in columns)

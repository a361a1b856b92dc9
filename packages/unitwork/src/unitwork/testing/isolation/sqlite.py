"""SQLite under one outer transaction: BEGIN sets a savepoint, and COMMIT checks and releases it.

It uses the standard library's extension points: a connection factory, and a cursor class.
"""

import re
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final, NoReturn

from unitwork.testing.errors import NeedsOwnDatabase
from unitwork.testing.isolation.steps import step

_SAVEPOINT: Final = "unitwork_unit"
_PRAGMA: Final = re.compile(r"\s*PRAGMA\b", re.IGNORECASE)
CALL_SITE: Final = "in SQLite's own thread"
BEGIN_OUTER: Final = "BEGIN IMMEDIATE /* of the whole test */"
"""The statement that begins the outer transaction, which is the only writer of the file from then on."""
END_STATEMENT: Final = "COMMIT /* of a statement outside a transaction */"
UNDO_STATEMENT: Final = "ROLLBACK /* of a statement outside a transaction */"
"""The statement that rolls back a virtual transaction of a single statement, and no other."""


class IsolatedCursor(sqlite3.Cursor):
    """A cursor whose BEGIN, COMMIT and ROLLBACK are virtual."""

    connection: "IsolatedConnection"

    def execute(self, sql: str, parameters: Any = (), /) -> "IsolatedCursor":
        if self.connection.prepare(sql):
            super().execute(sql, parameters)
        return self

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> "IsolatedCursor":
        if self.connection.prepare(sql):
            super().executemany(sql, parameters)
        return self

    def executescript(self, sql_script: str, /) -> NoReturn:
        raise NeedsOwnDatabase("a script was executed, which begins with a COMMIT", CALL_SITE)


class IsolatedConnection(sqlite3.Connection):
    """A connection with an outer transaction that is never committed. A statement outside BEGIN … COMMIT is a virtual
    transaction of its own, which ends with `END_STATEMENT` or `UNDO_STATEMENT`.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._outer = False
        self._open: str | None = None
        self._changes = 0

    def cursor(self, factory: Any = IsolatedCursor) -> Any:
        return super().cursor(factory)

    def prepare(self, sql: str) -> bool:
        """Carry out a statement that begins or ends a virtual transaction. True if the statement is still to be sent.

        Raises `NeedsOwnDatabase` if SQLite has ended the outer transaction by itself.
        """
        if not self._outer:
            self._outer = sql == BEGIN_OUTER
            return True
        word = step(sql)
        match word:
            case "BEGIN":
                if self._open == "BEGIN":
                    msg = "cannot start a transaction within a transaction"
                    raise sqlite3.OperationalError(msg)
                self.commit()
                self._begin("BEGIN")
            case "COMMIT" if sql != END_STATEMENT or self._open == "statement":
                self.commit()
            case "ROLLBACK" if sql != UNDO_STATEMENT or self._open == "statement":
                self.rollback()
            case None if not _PRAGMA.match(sql):
                self._check_outer()
                if self._open is None:
                    self._begin("statement")
        return word is None

    def commit(self) -> None:
        """Release the savepoint. If a deferred foreign key dangles, roll back and raise sqlite3's IntegrityError."""
        if self._open is None:
            return
        self._check_outer()
        if self._dangling():
            self._undo()
            error = sqlite3.IntegrityError("FOREIGN KEY constraint failed")
            error.sqlite_errorcode = sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
            error.sqlite_errorname = "SQLITE_CONSTRAINT_FOREIGNKEY"
            raise error
        self._release()

    def rollback(self) -> None:
        """Roll back to BEGIN. Outside a transaction nothing is left to undo after a failed statement."""
        if self._open == "statement" and self.in_transaction and not self._dangling():
            self._release()
        elif self._open is not None:
            self._undo()

    def close(self) -> None:
        # A closed connection that a cursor still refers to would keep its transaction and the write lock.
        with suppress(sqlite3.Error):
            super().rollback()
        super().close()

    def _begin(self, kind: str) -> None:
        self._check_outer()
        self._run(f"SAVEPOINT {_SAVEPOINT}")
        self._open, self._changes = kind, self.total_changes

    def _dangling(self) -> bool:
        return self.total_changes != self._changes and self._run("PRAGMA foreign_key_check").fetchone() is not None

    def _release(self) -> None:
        self._open = None
        self._run(f"RELEASE {_SAVEPOINT}")

    def _undo(self) -> None:
        if self.in_transaction:
            self._run(f"ROLLBACK TO {_SAVEPOINT}")
            self._release()
        self._open = None

    def _check_outer(self) -> None:
        if not self.in_transaction:
            raise NeedsOwnDatabase("SQLite gave up the whole transaction, as after an interrupted write", CALL_SITE)

    def _run(self, sql: str) -> sqlite3.Cursor:
        try:
            return sqlite3.Cursor(self).execute(sql)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_INTERRUPT":
                raise
            return sqlite3.Cursor(self).execute(sql)  # it belongs to the previous statement

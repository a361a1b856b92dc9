"""MariaDB under one outer transaction: START TRANSACTION sets a savepoint; COMMIT and ROLLBACK end it.

A statement outside a transaction needs no savepoint: MariaDB undoes a failed one by itself. Implicit commits, such as
CREATE TABLE's, can't be reproduced.
"""

import asyncio
import re
from typing import Any, Final

from asyncmy.connection import Connection
from asyncmy.errors import OperationalError

from unitwork.call_site import asking_site
from unitwork.testing.errors import NeedsOwnDatabase
from unitwork.testing.isolation.finish import finish
from unitwork.testing.isolation.steps import step

_SAVEPOINT: Final = "unitwork_unit"
_BLANK: Final = r"(?:\s|;|\(|--[^\n]*(?:\n|$)|#[^\n]*(?:\n|$)|/\*.*?\*/)*"
_COMMITS: Final = re.compile(
    rf"{_BLANK}(?:(CREATE|DROP)(?!\s+TEMPORARY)|(ALTER|TRUNCATE|RENAME|LOCK|UNLOCK|ANALYZE|OPTIMIZE|GRANT|REVOKE|FLUSH)"
    r"|SET\s+(?:SESSION\s+)?(AUTOCOMMIT))\b",
    re.IGNORECASE | re.DOTALL,
)
"""Statements before which MariaDB commits implicitly."""
_WRITES: Final = re.compile(
    rf"{_BLANK}(?:INSERT|UPDATE|DELETE|REPLACE|LOAD)\b"
    r"|.*\bFOR\s+UPDATE(?:\s+(?:NOWAIT|SKIP\s+LOCKED|WAIT\s+\d+))?\s*\Z",
    re.IGNORECASE | re.DOTALL,
)
"""Statements that a read-only transaction refuses, including locking reads."""
_SESSION_READS_ONLY: Final = {"SET SESSION TRANSACTION READ ONLY": True, "SET SESSION TRANSACTION READ WRITE": False}
"""Statements that would have no effect on the outer transaction, which has begun already."""
_REFUSED: Final = (1792, "Cannot execute statement in a READ ONLY transaction")


class IsolatedConnection(Connection):  # type: ignore[misc]  # asyncmy has few types
    """A connection with an outer transaction that is never committed, and one virtual transaction at a time inside."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._outer = False
        self._open = False
        self._reads_only = False
        self._session_reads_only = False

    async def begin_outer(self) -> None:
        """Begin the outer transaction."""
        await super().query("START TRANSACTION")
        self._outer = True

    def get_transaction_status(self) -> bool:
        """True if a virtual transaction is open."""
        return self._open if self._outer else bool(super().get_transaction_status())

    async def query(self, sql: Any, unbuffered: bool = False) -> Any:
        """Send a statement as asyncmy does, but replace the beginning of a virtual transaction. Raises
        `NeedsOwnDatabase` for a statement that would end the outer one.
        """
        if not self._outer:
            return await super().query(sql, unbuffered)
        text = sql if isinstance(sql, str) else sql.decode(errors="replace")
        if text in {"START TRANSACTION", "START TRANSACTION READ ONLY"} and not self._open:
            return await finish(self._begin(reads_only=text.endswith("READ ONLY")))
        if text in _SESSION_READS_ONLY:
            self._session_reads_only = _SESSION_READS_ONLY[text]
        found = _COMMITS.match(text)
        word = next(filter(None, found.groups())).upper() if found else step(text)
        if word is not None:
            raise NeedsOwnDatabase(f"{word} was sent as a statement, which ends a transaction", _call_site())
        if (self._reads_only if self._open else self._session_reads_only) and _WRITES.match(text):
            refusal = OperationalError(*_REFUSED)
            refusal.sqlstate = "25006"
            raise refusal
        answer = await self._ended_when_cancelled(sql, unbuffered)
        if not super().get_transaction_status():
            raise NeedsOwnDatabase("a statement ended the transaction", _call_site())
        return answer

    async def commit(self) -> None:
        """Release the savepoint."""
        if not self._outer:
            await super().commit()
        elif self._open:
            await finish(self._end(f"RELEASE SAVEPOINT {_SAVEPOINT}"))

    async def rollback(self) -> None:
        """Roll back to the savepoint."""
        if not self._outer:
            await super().rollback()
        elif self._open:
            await finish(self._end(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}"))

    async def _begin(self, *, reads_only: bool) -> Any:
        answer = await super().query(f"SAVEPOINT {_SAVEPOINT}")
        self._open, self._reads_only = True, reads_only
        return answer

    async def _end(self, statement: str) -> None:
        self._open = False
        await super().query(statement)

    async def _ended_when_cancelled(self, sql: Any, unbuffered: bool) -> Any:
        """Kill the statement by the server on cancellation: the driver would close the connection, and so the outer
        transaction.
        """
        task = asyncio.get_running_loop().create_task(super().query(sql, unbuffered))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await finish(self._end_statement(task))
            raise

    async def _end_statement(self, task: "asyncio.Task[Any]") -> None:
        if not task.done():
            beside = Connection(host=self._host, port=self._port, user=self._user, password=self._password)
            await beside.connect()
            await beside.query(f"KILL QUERY {self.thread_id()}")
            await beside.ensure_closed()
        await asyncio.wait((task,))
        task.exception()


def _call_site() -> str:
    return asking_site() or "the driver"


async def connect(**options: Any) -> IsolatedConnection:
    """Return an open connection; SQLAlchemy calls this in place of the driver's `connect`."""
    connection = IsolatedConnection(**options)
    await connection.connect()
    return connection

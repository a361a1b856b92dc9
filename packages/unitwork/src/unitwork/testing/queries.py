"""assert_queries: count the statements that a piece of code sends, with the lines that send them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, event

from unitwork.call_site import asking_site
from unitwork.testing.subject import engine_of
from unitwork.unit import UNIT, Unit

_OURS: Final = re.compile(r"\s*(BEGIN|START|COMMIT|END|ABORT|ROLLBACK|SAVEPOINT|RELEASE|PRAGMA|SET)\b", re.IGNORECASE)
"""Statements of the library itself, whose number depends on the mode."""
_LEASE: Final = "node_leases"
"""A text in each of the statements that lease a node before the first unit that may write."""


@dataclass(frozen=True)
class Query:
    """A statement as it was sent, without values, and the line that caused it."""

    statement: str
    call_site: str

    def __str__(self) -> str:
        return f"{' '.join(self.statement.split())}\n     {self.call_site}"


@dataclass
class Queries:
    """The statements sent so far."""

    sent: list[Query] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.sent)

    def __iter__(self) -> Iterator[Query]:
        return iter(self.sent)


@contextmanager
def assert_queries(
    subject: Any,
    *,
    max: int | None = None,
    exactly: int | None = None,
) -> Iterator[Queries]:
    """Raise AssertionError if the block sends more than `max` statements, or not `exactly` this many.

    The error lists every statement with the line that caused it. Statements that begin or end transactions are not
    counted. `subject` is a `Database`, an engine, or a container.
    """
    if (max is None) == (exactly is None):
        msg = "assert_queries needs one of max= and exactly="
        raise TypeError(msg)
    engine = engine_of(subject)
    queries = Queries()

    def sent(connection: Connection, _cursor: Any, statement: str, *_others: Any) -> None:
        if _OURS.match(statement) is None and _LEASE not in statement:
            queries.sent.append(Query(statement, asking_site() or _end_of(connection)))

    event.listen(engine.sync_engine, "before_cursor_execute", sent)
    try:
        yield queries
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", sent)
    if exactly is not None and len(queries) != exactly:
        raise AssertionError(_told(queries, f"exactly {exactly}"))
    if max is not None and len(queries) > max:
        raise AssertionError(_told(queries, f"at most {max}"))


def _end_of(connection: Connection) -> str:
    """Return the call site of a statement flushed at the end of a block, which no line of the caller's caused."""
    unit: Unit | None = connection.get_execution_options().get(UNIT)
    return "no line of yours" if unit is None else f"{unit.call_site} (at the end of this block)"


def _told(queries: Queries, expected: str) -> str:
    were = "1 statement was" if len(queries) == 1 else f"{len(queries)} statements were"
    listed = "".join(f"\n  {number}. {query}" for number, query in enumerate(queries, 1))
    return f"{were} sent, {expected} expected{':' if listed else '.'}{listed}"

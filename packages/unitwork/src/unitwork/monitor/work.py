"""Work: count the statements of one request, task or command, across its transactions and child tasks."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Protocol

from unitwork.monitor.record import Repeated


class Judge(Protocol):
    """The parts of the monitor that are used here."""

    def over_budget(self, name: str, reason: str) -> None: ...


class Work:
    """Counts the statements sent inside its block. Nested ones count for the outer work, too."""

    __slots__ = ("in_sql", "judge", "name", "outer", "repeated", "repeats", "statements")

    def __init__(self, name: str, outer: "Work | None") -> None:
        self.name = name
        self.outer = outer
        self.statements = 0
        self.in_sql = 0.0
        """Total time of statements, in seconds."""
        self.repeated = 0
        """Number of repetitions that were reported."""
        self.repeats: dict[Repeated, int] = {} if outer is None else outer.repeats
        self.judge: Judge | None = None

    def summary(self) -> str:
        """Return the number of statements and their time, formatted for a response header."""
        return f"statements={self.statements}; ms={self.in_sql * 1000:.1f}; repeated={self.repeated}"


current_work: Final[ContextVar[Work | None]] = ContextVar("work", default=None)


@contextmanager
def work(name: str) -> Iterator[Work]:
    """Count the block as one request, task or command, so that repetitions are found across its transactions."""
    outer = current_work.get()
    begun = Work(name, outer)
    token = current_work.set(begun)
    try:
        yield begun
    finally:
        try:
            current_work.reset(token)
        except ValueError:
            # A fixture's set-up and teardown run in different contexts, in which a token can't be reset.
            current_work.set(outer)

"""Work: what is done for one request, task or command, across its transactions and the tasks that it starts."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Protocol

from unitwork.monitor.record import Repeated


class Judge(Protocol):
    """The monitor that saw the statements."""

    def over_budget(self, name: str, reason: str) -> None: ...


class Work:
    """Counts what is sent inside its block. One inside another counts for both."""

    __slots__ = ("in_sql", "judge", "name", "outer", "repeated", "repeats", "statements")

    def __init__(self, name: str, outer: "Work | None") -> None:
        self.name = name
        self.outer = outer
        self.statements = 0
        self.in_sql = 0.0
        """Seconds."""
        self.repeated = 0
        """Repetitions that were reported."""
        self.repeats: dict[Repeated, int] = {} if outer is None else outer.repeats
        self.judge: Judge | None = None

    def summary(self) -> str:
        """For a header: how much was sent, and how long it took."""
        return f"statements={self.statements}; ms={self.in_sql * 1000:.1f}; repeated={self.repeated}"


current_work: Final[ContextVar[Work | None]] = ContextVar("work", default=None)


@contextmanager
def work(name: str) -> Iterator[Work]:
    """The block is one request, task or command: what repeats in it is found across its transactions."""
    outer = current_work.get()
    begun = Work(name, outer)
    token = current_work.set(begun)
    try:
        yield begun
    finally:
        try:
            current_work.reset(token)
        except ValueError:
            # Left in another context than it was entered in, as set-up and teardown of a fixture are.
            current_work.set(outer)

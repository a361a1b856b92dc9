"""Cases: little programs over a container that tell what came of them, to be run in both modes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from containers import Container
from unitwork.errors import DatabaseError

Program = Callable[[Container], Awaitable[Any]]


@dataclass(frozen=True)
class Case:
    """`gives` is what the program returns with real commits, by database where they differ. `needs_own`: isolated,
    it raises `NeedsOwnDatabase` instead.
    """

    run: Program
    gives: Any
    needs_own: bool

    @property
    def name(self) -> str:
        return self.run.__name__


class Table:
    """The cases of one module."""

    def __init__(self) -> None:
        self.cases: Final[list[Case]] = []

    def case(self, gives: Any, *, needs_own: bool = False) -> Callable[[Program], Program]:
        def note(run: Program) -> Program:
            self.cases.append(Case(run, gives, needs_own))
            return run

        return note


async def error_of(work: Awaitable[object]) -> str:
    """The class of the database error that `work` raises, and of the cause that the error names."""
    try:
        await work
    except DatabaseError as error:
        cause = error.__cause__
        named = cause is not None and isinstance(cause, DatabaseError | ValueError)
        return f"{type(error).__name__} from {type(cause).__name__}" if named else type(error).__name__
    return "no error"

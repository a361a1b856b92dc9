"""What the fakes refuse.

RepositoryError
├── NotFaked                this can only be answered by a database; .construct names it
└── NotAFakeSession         an in-memory DAO was given the session of a database
"""

from typing import Any

from sqlalchemy import ClauseElement
from sqlalchemy.exc import SQLAlchemyError

from unitwork.errors.query import RepositoryError

LONGEST = 120
"""Characters of a statement that an error repeats."""


class NotFaked(RepositoryError):
    """Memory has no answer to this, and gives none rather than a wrong one."""

    def __init__(self, construct: str, fix: str = "") -> None:
        self.construct = construct
        self.fix = fix
        super().__init__(construct, fix)

    def __str__(self) -> str:
        return f"{self.construct} is not faked: this test needs a database{self.fix}."


class NotAFakeSession(RepositoryError):
    """The rows of an in-memory DAO live in the store of a `FakeSessionProvider`, and its session isn't one's."""

    def __str__(self) -> str:
        return (
            "this DAO keeps its rows in memory, and its session is not a fake one. Build it over the container's fake: "
            "`sessions = FakeSessionProvider()`, `container.session_provider.override(sessions)`."
        )


def written(expression: Any) -> str:
    """A construct as SQL, with names in the place of values."""
    kind = str(getattr(expression, "__visit_name__", type(expression).__name__))
    try:
        text = " ".join(str(expression).split()) if isinstance(expression, ClauseElement) else repr(type(expression))
    except SQLAlchemyError:  # it has no text outside its dialect
        text = type(expression).__name__
    return f"`{text if len(text) <= LONGEST else text[:LONGEST] + '…'}` ({kind.replace('_', ' ')})"

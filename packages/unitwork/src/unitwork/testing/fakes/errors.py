"""Errors of the fakes.

RepositoryError
├── NotFaked                only a database can answer this; .construct names it
└── NotAFakeSession         an in-memory DAO was given the session of a database
"""

from typing import Any

from sqlalchemy import ClauseElement
from sqlalchemy.exc import SQLAlchemyError

from unitwork.errors.query import RepositoryError

MAX_LENGTH = 120
"""Maximum characters of a statement that an error repeats."""


class NotFaked(RepositoryError):
    """Raised instead of a wrong answer where the fakes don't support a construct."""

    def __init__(self, construct: str, fix: str = "") -> None:
        self.construct = construct
        self.fix = fix
        super().__init__(construct, fix)

    def __str__(self) -> str:
        return f"{self.construct} is not faked: this test needs a database{self.fix}."


class NotAFakeSession(RepositoryError):
    """Raised when an in-memory DAO is used with a session that doesn't belong to a `FakeSessionProvider`."""

    def __str__(self) -> str:
        return (
            "this DAO keeps its rows in memory, and its session is not a fake one. Build it over the container's fake: "
            "`sessions = FakeSessionProvider()`, `container.session_provider.override(sessions)`."
        )


def written(expression: Any) -> str:
    """Return a construct as SQL, with parameter names instead of values."""
    kind = str(getattr(expression, "__visit_name__", type(expression).__name__))
    try:
        text = " ".join(str(expression).split()) if isinstance(expression, ClauseElement) else repr(type(expression))
    except SQLAlchemyError:  # it can't be compiled for the default dialect
        text = type(expression).__name__
    return f"`{text if len(text) <= MAX_LENGTH else text[:MAX_LENGTH] + '…'}` ({kind.replace('_', ' ')})"

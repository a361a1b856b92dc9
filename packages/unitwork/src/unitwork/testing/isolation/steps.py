"""Steps: recognize statements that begin or end a transaction."""

import re
from typing import Final

from unitwork.call_site import asking_site
from unitwork.testing.errors import NeedsOwnDatabase

_STEP: Final = re.compile(
    r"(?:\s|;|\(|--[^\n]*(?:\n|$)|/\*.*?\*/)*"
    r"(BEGIN|START|COMMIT|END|ABORT|PREPARE\s+TRANSACTION|ROLLBACK(?!(?:\s+(?:WORK|TRANSACTION))?\s+TO\b))\b",
    re.IGNORECASE | re.DOTALL,
)
"""Matches them after comments, too."""
_MEANS: Final = {"BEGIN": "BEGIN", "START": "BEGIN", "ROLLBACK": "ROLLBACK", "ABORT": "ROLLBACK"}


def step(statement: str) -> str | None:
    """Return BEGIN, COMMIT or ROLLBACK for any spelling of it; None for another statement."""
    found = _STEP.match(statement)
    return None if found is None else _MEANS.get(found[1].upper(), "COMMIT")


def refuse_end(statement: str) -> None:
    """Raise `NeedsOwnDatabase` for a statement that begins or ends a transaction: it would affect the outer one."""
    word = step(statement)
    if word is not None:
        raise NeedsOwnDatabase(f"{word} was sent as a statement", asking_site() or "the driver")

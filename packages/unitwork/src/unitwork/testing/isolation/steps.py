"""Steps: statements that begin a transaction or end one, whoever sends them."""

import re
from typing import Final

from unitwork.call_site import asking_site
from unitwork.testing.errors import NeedsOwnDatabase

_STEP: Final = re.compile(
    r"(?:\s|;|\(|--[^\n]*(?:\n|$)|/\*.*?\*/)*"
    r"(BEGIN|START|COMMIT|END|ABORT|PREPARE\s+TRANSACTION|ROLLBACK(?!(?:\s+(?:WORK|TRANSACTION))?\s+TO\b))\b",
    re.IGNORECASE | re.DOTALL,
)
"""Comments before it don't hide it."""
_MEANS: Final = {"BEGIN": "BEGIN", "START": "BEGIN", "ROLLBACK": "ROLLBACK", "ABORT": "ROLLBACK"}


def step(statement: str) -> str | None:
    """BEGIN, COMMIT or ROLLBACK, in whatever words; None for a statement that is none of them."""
    found = _STEP.match(statement)
    return None if found is None else _MEANS.get(found[1].upper(), "COMMIT")


def refuse_end(statement: str) -> None:
    """Raises `NeedsOwnDatabase` for a statement that begins a transaction or ends one: it would be the outer one."""
    word = step(statement)
    if word is not None:
        raise NeedsOwnDatabase(f"{word} was sent as a statement", asking_site() or "the driver")

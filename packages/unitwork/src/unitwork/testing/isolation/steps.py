"""Steps: statements that begin a transaction or end one, whoever sends them."""

import re
from typing import Final

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

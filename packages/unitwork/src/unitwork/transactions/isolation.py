"""Isolation levels, by the names of the SQL standard in any spelling."""

from typing import Final

LEVELS: Final = ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")


def isolation_level(text: str) -> str:
    """Return the level in the drivers' spelling. Raises ValueError for one that isn't in the SQL standard."""
    level = text.strip().upper().replace("_", " ")
    if level not in LEVELS:
        msg = f"unknown isolation level '{text}'; use one of: {', '.join(LEVELS)}"
        raise ValueError(msg)
    return level

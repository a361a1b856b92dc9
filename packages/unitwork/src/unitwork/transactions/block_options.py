"""BlockOptions: the options of a block, from the call that opens it to its unit; and the names of isolation levels."""

from typing import Final, NamedTuple


class BlockOptions(NamedTuple):
    """Options of a block; immutable. A block that joins another uses only `read_only`, `autoflush` and `timeout`."""

    read_only: bool = False
    autoflush: bool = True
    isolation: str | None = None
    """Isolation level as returned by `isolation_level`; None for the engine's."""
    timeout: float | None = None
    """Seconds that the whole block may take."""
    name: str | None = None
    """Name for logs."""
    transactional: bool = True
    """False lets each statement commit by itself."""
    autocommit: bool = False
    """True for a unit that may send one statement only."""
    reads: bool = False
    """True for an autocommit unit whose statement is a read, as far as its opener knows."""
    ambiently: bool = True
    """False keeps other blocks from joining: for a block whose end its caller doesn't control, as a generator's."""


DEFAULT = BlockOptions()


LEVELS: Final = ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")


def isolation_level(text: str) -> str:
    """Return the level in the drivers' spelling. Raises ValueError for one that isn't in the SQL standard."""
    level = text.strip().upper().replace("_", " ")
    if level not in LEVELS:
        msg = f"unknown isolation level '{text}'; use one of: {', '.join(LEVELS)}"
        raise ValueError(msg)
    return level

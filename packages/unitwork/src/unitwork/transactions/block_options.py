"""BlockOptions: what a block is asked for, from the call that opens it to the unit it becomes."""

from typing import NamedTuple


class BlockOptions(NamedTuple):
    """Immutable. A block that joins another heeds `read_only`, `autoflush` and `timeout` alone."""

    read_only: bool = False
    autoflush: bool = True
    isolation: str | None = None
    """A level as `isolation_level` writes it; None is the engine's."""
    timeout: float | None = None
    """Seconds for the whole block."""
    name: str | None = None
    """What logs call it."""
    transactional: bool = True
    """False lets each statement commit by itself."""
    autocommit: bool = False
    """One statement only."""
    ambiently: bool = True
    """False lets nothing join it: for a block whose end its caller doesn't decide, as a generator's."""


DEFAULT = BlockOptions()

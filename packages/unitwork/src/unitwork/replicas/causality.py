"""Causality: what one piece of work, such as a request, has stored or was told of; its reads are never older.

    with reading_after(told) as causality:     # what the client sent with its request
        ...                                    # reads on replicas see it, and what the work itself stores
    causality.told                             # to send with the answer, or with a message to a worker

Shared by all tasks of the work. Work outside any such block shares one of its database, so that a process reads
whatever it has stored.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Final

from unitwork.replicas.position import NOTHING, Position, Told

PRIMARY: Final = "primary"
REPLICA: Final = "replica"


class Causality:
    """Oldest state that the reads of one piece of work may show, and the servers that have served them."""

    __slots__ = ("_position", "_unlocated_since", "read_from", "to_tell")

    def __init__(self, told: Told = NOTHING) -> None:
        self._position = told.position
        self._unlocated_since: float | None = time.monotonic() if told.everything else None
        self.to_tell = False
        """True once there is something that later reads of others should see, too."""
        self.read_from: set[str] = set()
        """`PRIMARY` and `REPLICA`, as far as they were used."""

    @property
    def told(self) -> Told:
        """Return what later reads must not be older than to see all that this work has seen stored."""
        return Told(self._position, everything=self._unlocated_since is not None)

    @property
    def position(self) -> Position | None:
        return self._position

    @property
    def located(self) -> bool:
        """False while something was stored at a position that isn't known yet."""
        return self._unlocated_since is None

    def committed(self, position: Position | None) -> None:
        """Record a commit; `position` is None where the server didn't tell it."""
        self.to_tell = True
        if position is None:
            self.see_everything()
        elif position.follows(self._position):
            self._position = position

    def see_everything(self) -> None:
        """Let the next reads see everything that was stored by now, by whomever."""
        self._unlocated_since = time.monotonic()

    def locate(self, position: Position, asked_at: float) -> None:
        """Use the primary's position, asked for at this moment of `time.monotonic()`, where it is later than what is to
        be seen.
        """
        if self._unlocated_since is not None and asked_at > self._unlocated_since:
            self._unlocated_since = None
            if position.follows(self._position):
                self._position = position

    def follow(self, position: Position) -> None:
        """Replace a position of a former history by the present primary's, which has all of it that is left."""
        held = self._position
        if held is not None and held.server != position.server and position.follows(held):
            self._position = position


class Staleness:
    """Bound of the age of reads in a block."""

    __slots__ = ("from_replica", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.from_replica = False
        """True if a read in the block was served by a replica."""


causality_in_force: Final[ContextVar[Causality | None]] = ContextVar("causality", default=None)
staleness_in_force: Final[ContextVar[Staleness | None]] = ContextVar("staleness", default=None)


@contextmanager
def reading_after(told: Told = NOTHING) -> Iterator[Causality]:
    """Make the block one piece of work, whose reads are never older than `told` and than what it stores itself."""
    causality = Causality(told)
    token = causality_in_force.set(causality)
    try:
        yield causality
    finally:
        causality_in_force.reset(token)


@contextmanager
def stale_by_at_most(seconds: float) -> Iterator[Staleness]:
    """Let reads in the block use only replicas that had replayed everything within the last `seconds`; 0 is the primary
    alone. The lower bound of two blocks applies.
    """
    around = staleness_in_force.get()
    bound = Staleness(seconds if around is None else min(seconds, around.seconds))
    token = staleness_in_force.set(bound)
    try:
        yield bound
    finally:
        staleness_in_force.reset(token)


def reads_from_primary() -> AbstractContextManager[Staleness]:
    """Let reads in the block use the primary alone: what they show decides about what is written, or is current."""
    return stale_by_at_most(0)


def see_everything() -> None:
    """Let the next reads of this piece of work see everything that was stored by now, and those who are told of its
    position, too: for the state of work that others do. No effect outside `reading_after`.
    """
    causality = causality_in_force.get()
    if causality is not None:
        causality.to_tell = True
        causality.see_everything()


def current_position() -> str | None:
    """Return what others must read after to see what this piece of work has seen stored, as text for
    `Told.parse`; None for nothing, and outside `reading_after`.
    """
    causality = causality_in_force.get()
    return None if causality is None else causality.told.text

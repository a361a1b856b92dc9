"""Records: what one unit did so far and does now, and the latest of it by itself."""

import time
from typing import Final, NamedTuple

from unitwork.call_site import CallSite, shown
from unitwork.monitor.shape import Shape

LATEST: Final = 16
"""Events of a unit that are kept."""


class Event(NamedTuple):
    """One statement, as it ended."""

    at: float
    """By `time.monotonic()`."""
    shape: Shape
    call_site: CallSite | str | None
    via: CallSite | None
    took: float
    rows: int
    outcome: str
    """`ok`, `cancelled`, or the name of the error."""

    def told(self) -> dict[str, object]:
        """For programs."""
        return {
            "statement": self.shape.fingerprint.text,
            "fingerprint": self.shape.fingerprint.id,
            "call_site": shown(self.call_site or self.via),
            "ms": round(self.took * 1000, 2),
            "rows": self.rows,
            "outcome": self.outcome,
        }

    def __str__(self) -> str:
        call_site = shown(self.call_site or self.via)
        return f"{self.shape.fingerprint.text} [{self.outcome}, {self.took * 1000:.1f} ms, {call_site}]"


Plain = tuple[float, Shape, CallSite | str | None, CallSite | None, float, int, str]
"""An event as it is kept, as most are never looked at."""
Repeated = tuple[Shape, CallSite | str | None, CallSite | None]
"""What is counted as asked for again: a shape, and the lines that ask."""


class Record:
    """Of one unit, but not of an autocommit statement."""

    idle = 0.0
    """Seconds between statements."""
    in_sql = 0.0
    statements = 0
    told: set[str] | None = None
    """Which watches have reported it."""
    repeats: dict[Repeated, int] | None = None
    span: object | None = None

    def __init__(self, request_id: str | None, opened_by: tuple[CallSite, ...]) -> None:
        self.request_id = request_id
        self.opened_by = opened_by
        """The lines that opened it, innermost first."""
        self.since = self.active = time.monotonic()
        """When it began, and when it last came back from the database."""
        self._latest: list[Plain] = []

    @property
    def events(self) -> list[Event]:
        """The latest, oldest first."""
        return [Event(*event) for event in self._latest[-LATEST:]]

    def keep(self, event: Plain) -> None:
        """Add to the latest events."""
        self._latest.append(event)
        if len(self._latest) > 4 * LATEST:
            del self._latest[:-LATEST]

    def tell_once(self, what: str) -> bool:
        """Whether this is the first time."""
        if self.told is None:
            self.told = set()
        if what in self.told:
            return False
        self.told.add(what)
        return True

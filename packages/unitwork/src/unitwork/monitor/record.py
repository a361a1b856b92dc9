"""Records: the latest statements and the current state of one unit; and counts of ended units by outcome."""

import time
from bisect import bisect_left
from collections import Counter
from typing import Final, NamedTuple

from unitwork.call_site import CallSite, shown
from unitwork.monitor.shape import BUCKETS, Shape
from unitwork.outcome import Outcome
from unitwork.unit import Unit

MAX_EVENTS: Final = 16
"""Maximum number of events of a unit that are kept."""


class Event(NamedTuple):
    """One completed statement."""

    at: float
    """Moment of its end, by `time.monotonic()`."""
    shape: Shape
    call_site: CallSite | str | None
    via: CallSite | None
    took: float
    rows: int
    outcome: str
    """`ok`, `cancelled`, or the name of the error."""

    def as_facts(self) -> dict[str, object]:
        """Return the event as facts for programs."""
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
"""An event in the compact form in which it is kept; most are never read."""
Repeated = tuple[Shape, CallSite | str | None, CallSite | None]
"""The key by which repetitions are counted: a statement shape, and the lines that send it."""


class Record:
    """The record of one unit. Autocommit statements have none."""

    idle = 0.0
    """Total seconds between statements."""
    in_sql = 0.0
    statements = 0
    reported: set[str] | None = None
    """Kinds of findings that were reported about it."""
    repeats: dict[Repeated, int] | None = None
    span: object | None = None

    def __init__(self, request_id: str | None, opened_by: tuple[CallSite, ...]) -> None:
        self.request_id = request_id
        self.opened_by = opened_by
        """The lines that opened it, innermost first."""
        self.since = self.active = time.monotonic()
        """Moments of its beginning, and of the end of its last statement."""
        self._latest: list[Plain] = []

    @property
    def events(self) -> list[Event]:
        """The latest events, oldest first."""
        return [Event(*event) for event in self._latest[-MAX_EVENTS:]]

    def keep(self, event: Plain) -> None:
        """Add an event, dropping the oldest one if there are too many."""
        self._latest.append(event)
        if len(self._latest) > 4 * MAX_EVENTS:
            del self._latest[:-MAX_EVENTS]

    def first_report(self, what: str) -> bool:
        """True on the first call with this kind of finding."""
        if self.reported is None:
            self.reported = set()
        if what in self.reported:
            return False
        self.reported.add(what)
        return True


NONE: Final = "none"
"""The outcome of a unit without a transaction."""
OUTCOMES: Final = (*(outcome.name.lower() for outcome in Outcome), NONE)


class Transactions:
    """Counters of one monitor, since it began."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
        self.retries = 0
        """Number of attempts after the first."""
        self.seconds = 0.0
        self.in_sql = 0.0
        self.idle = 0.0
        self.buckets = [0] * (len(BUCKETS) + 1)

    def ended(self, unit: Unit, record: Record, now: float) -> None:
        """Count a unit that has ended, with its hooks."""
        self.outcomes[NONE if unit.outcome is None else unit.outcome.name.lower()] += 1
        took = now - unit.since
        self.seconds += took
        self.in_sql += record.in_sql
        self.idle += record.idle
        self.buckets[bisect_left(BUCKETS, took)] += 1

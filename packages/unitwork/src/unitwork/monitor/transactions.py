"""Transactions: counts by outcome, and durations."""

from bisect import bisect_left
from collections import Counter
from typing import Final

from unitwork.monitor.record import Record
from unitwork.monitor.shape import BUCKETS
from unitwork.outcome import Outcome
from unitwork.unit import Unit

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

"""History: one sample of the counters each second, for the latest minutes."""

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from unitwork.monitor.pools import PoolState
from unitwork.monitor.record import Transactions
from unitwork.monitor.shape import BUCKETS, Kind

MAX_SAMPLES: Final = 300
"""Maximum number of samples that are kept."""
SAMPLE_INTERVAL_SECONDS: Final = 1.0
"""Seconds between two samples."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample. Rates are per second, durations in milliseconds."""

    at: float
    statements: float
    failed: float
    transactions: float
    in_use: int
    waiting: int
    p50: float
    p95: float


@dataclass(slots=True)
class _Sums:
    at: float
    statements: int
    failed: int
    transactions: int
    buckets: list[int]


class History:
    """Samples of one monitor."""

    def __init__(self) -> None:
        self.samples: deque[Sample] = deque(maxlen=MAX_SAMPLES)
        self._before: _Sums | None = None

    def sample(self, kinds: Iterable[Kind], transactions: Transactions, pool: PoolState) -> None:
        """Add a sample of the changes since the last one."""
        now = _sums(kinds, transactions)
        before, self._before = self._before, now
        if before is None:
            return
        took = max(now.at - before.at, 0.001)
        buckets = [new - old for new, old in zip(now.buckets, before.buckets, strict=True)]
        self.samples.append(
            Sample(
                at=round(time.time(), 2),
                statements=round((now.statements - before.statements) / took, 1),
                failed=round((now.failed - before.failed) / took, 1),
                transactions=round((now.transactions - before.transactions) / took, 1),
                in_use=pool.in_use,
                waiting=pool.waiting,
                p50=quantile(buckets, 0.5),
                p95=quantile(buckets, 0.95),
            )
        )


def _sums(kinds: Iterable[Kind], transactions: Transactions) -> _Sums:
    buckets = [0] * (len(BUCKETS) + 1)
    statements = failed = 0
    for kind in kinds:
        statements += kind.ok + kind.failed + kind.cancelled
        failed += kind.failed + kind.cancelled
        for number, count in enumerate(kind.buckets):
            buckets[number] += count
    return _Sums(time.monotonic(), statements, failed, transactions.outcomes.total(), buckets)


def quantile(buckets: list[int], part: float) -> float:
    """Return the `part` quantile of durations in milliseconds, interpolated within its bucket; 0 without statements."""
    total = sum(buckets)
    if not total:
        return 0.0
    wanted = part * total
    for number, below in enumerate(accumulate(buckets)):
        if below >= wanted:
            if number == len(BUCKETS):
                return BUCKETS[-1] * 1000
            low = BUCKETS[number - 1] if number else 0.0
            inside = (wanted - (below - buckets[number])) / buckets[number]
            return round((low + (BUCKETS[number] - low) * inside) * 1000, 2)
    return BUCKETS[-1] * 1000

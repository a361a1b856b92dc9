"""Shapes: statistics of statements that differ only in values; bounded in number.

Each text is analysed once and then found by look-up. Kinds (`SELECT users`) are the labels of metrics: they are few and
never dropped, as a counter must not decrease.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from unitwork.call_site import CallSite
from unitwork.monitor.fingerprint import MAX_LENGTH, Fingerprint, fingerprint

BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram, in seconds; an additional bucket counts longer ones."""
OTHER: Final = "other"
MAX_KINDS: Final = 64
MAX_SHAPES: Final = 512
MAX_TEXTS: Final = 2048
OK: Final = "ok"
CANCELLED: Final = "cancelled"
FAILED: Final = "failed"


class Kind:
    """Counters of all statements of one kind, since the monitor began."""

    __slots__ = ("buckets", "cancelled", "failed", "name", "ok", "seconds")

    def __init__(self, name: str) -> None:
        self.name = name
        self.ok = self.cancelled = self.failed = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(BUCKETS) + 1)


class Shape:
    """Counters of statements with one fingerprint, since it was last dropped."""

    __slots__ = ("call_site", "count", "failed", "fingerprint", "kind", "last", "longest", "rows", "seconds")

    def __init__(self, fingerprint: Fingerprint, kind: Kind) -> None:
        self.fingerprint = fingerprint
        self.kind = kind
        self.count = self.rows = self.failed = 0
        self.seconds = self.longest = self.last = 0.0
        self.call_site: CallSite | str | None = None
        """The line of code that sent it last."""

    def ended(self, at: float, took: float, rows: int, outcome: str) -> None:
        """Count a completed statement."""
        kind = self.kind
        self.count += 1
        self.rows += rows
        self.seconds += took
        self.last = at
        self.longest = max(self.longest, took)
        if outcome is OK:
            kind.ok += 1
        elif outcome is CANCELLED:
            kind.cancelled += 1
        else:
            kind.failed += 1
            self.failed += 1
        kind.seconds += took
        kind.buckets[bisect_left(BUCKETS, took)] += 1


class Shapes:
    """Shapes of one monitor. When there are too many, the least recently seen quarter is dropped."""

    def __init__(self) -> None:
        self.kinds: dict[str, Kind] = {OTHER: Kind(OTHER)}
        self._texts: dict[str, Shape] = {}
        self._shapes: dict[str, Shape] = {}
        self._dialect = ""

    def __iter__(self) -> Iterator[Shape]:
        return iter(tuple(self._shapes.values()))

    def __len__(self) -> int:
        return len(self._shapes)

    def of(self, statement: str, dialect: str) -> Shape:
        """Return the shape of a text. The dialect of a text's first occurrence is used, as one monitor's engines rarely
        differ.
        """
        shape = self._texts.get(statement)
        if shape is not None:
            return shape
        cut = statement if len(statement) <= MAX_LENGTH else statement[: MAX_LENGTH + 1]
        if cut is not statement:
            shape = self._texts.get(cut)
            if shape is not None:
                return shape
        return self._new(cut, dialect)

    def text(self, statement: str) -> str:
        """Return the text, without literals, of a statement that has not ended."""
        return self.of(statement, self._dialect).fingerprint.text

    def _new(self, cut: str, dialect: str) -> Shape:
        self._dialect = dialect
        found = fingerprint(cut, dialect)
        shape = self._shapes.get(found.id)
        if shape is None:
            if len(self._shapes) >= MAX_SHAPES:
                self._forget()
            shape = self._shapes[found.id] = Shape(found, self._kind(found))
        if len(self._texts) >= MAX_TEXTS:
            self._texts.clear()
        self._texts[cut] = shape
        return shape

    def _kind(self, found: Fingerprint) -> Kind:
        name = f"{found.verb} {found.table}".strip() or OTHER
        kind = self.kinds.get(name)
        if kind is None:
            if len(self.kinds) >= MAX_KINDS:
                return self.kinds[OTHER]
            kind = self.kinds[name] = Kind(name)
        return kind

    def _forget(self) -> None:
        oldest = sorted(self._shapes.values(), key=lambda shape: shape.last)[: MAX_SHAPES // 4]
        for shape in oldest:
            del self._shapes[shape.fingerprint.id]
        self._texts.clear()  # they refer to dropped shapes, which would go on counting

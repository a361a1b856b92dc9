"""RepeatedLines: a log in which lines of one shape are written once an interval, with the number of them.

Under overload every statement is slow: a line for each would hide the others, and cost more than what it tells of.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Hashable, Mapping
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Final

INTERVAL_SECONDS: Final = 10.0
MAX_LINE_SHAPES: Final = 1000
"""Maximum number of shapes that are counted at once; beyond it the oldest one's count is written and forgotten."""


@dataclass(slots=True)
class _Repeated:
    """Lines of one shape that are counted since `since`, and the latest of them."""

    since: float
    level: int
    text: str = ""
    facts: Mapping[str, Any] | None = None
    count: int = 0
    longest: float = 0.0


class RepeatedLines:
    """Writes lines to one logger. The first line of a shape is written at once; further ones within the interval are
    counted, and written as one line when it ends: by a timer of the running event loop, else by the next line or by
    `flush`. While a shape goes on, each interval gives one line. Lines at ERROR or above are all written.

    Use it in one thread. `clock` returns seconds.
    """

    def __init__(
        self,
        log: logging.Logger,
        *,
        interval: float = INTERVAL_SECONDS,
        max_shapes: int = MAX_LINE_SHAPES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._interval = interval
        self._max_shapes = max_shapes
        self._clock = clock
        self._shapes: dict[Hashable, _Repeated] = {}
        """By the start of their interval, the earliest first."""
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def write(
        self, shape: Hashable, text: str, *, level: int = logging.WARNING, took: float = 0.0, facts: Any = None
    ) -> None:
        """Write a line, or count it. `took` is its duration in seconds, of which the longest is told; `facts` become
        the record's attribute `sql`, in a line for several with `repeated` and `longest`.
        """
        if not self._log.isEnabledFor(level):
            return
        now = self._clock()
        self._write_ended(now)
        shape = (level, shape)
        known = self._shapes.get(shape)
        if level >= logging.ERROR or known is None:
            self._log.log(level, "%s", text, extra=_extra(facts))
            if level < logging.ERROR:
                self._add(shape, _Repeated(now, level))
            return
        known.count += 1
        known.longest = max(known.longest, took)
        known.text, known.facts = text, facts
        self._start_timer(known.since + self._interval - now)

    def flush(self) -> None:
        """Write what has been counted, and forget it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._clock()
        while self._shapes:
            self._write(self._shapes.pop(next(iter(self._shapes))), now)

    def _add(self, shape: Hashable, repeated: _Repeated) -> None:
        if len(self._shapes) >= self._max_shapes:
            self._write(self._shapes.pop(next(iter(self._shapes))), repeated.since)
        self._shapes[shape] = repeated

    def _write_ended(self, now: float) -> None:
        while self._shapes:
            shape, first = next(iter(self._shapes.items()))
            if now < first.since + self._interval:
                return
            del self._shapes[shape]
            if first.count:  # it goes on: the next line of it is counted
                self._write(first, now)
                self._shapes[shape] = _Repeated(now, first.level)

    def _write(self, repeated: _Repeated, now: float) -> None:
        if not repeated.count:
            return
        longest = f", the longest {repeated.longest * 1000:.0f} ms" if repeated.longest else ""
        text = f"{repeated.count} more in {now - repeated.since:.0f} s{longest}; the latest: {repeated.text}"
        facts = repeated.facts
        if facts is not None:
            facts = {**facts, "repeated": repeated.count, "longest": round(repeated.longest, 4)}
        # In no context: whoever comes next, or set the timer, is not whom the line is about.
        Context().run(self._log.log, repeated.level, "%s", text, extra=_extra(facts))

    def _start_timer(self, delay: float) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._timer is None or self._loop is not loop:
            self._loop = loop
            self._timer = loop.call_later(max(delay, 0.0), self._ring, loop, context=Context())

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = self._clock()
        self._write_ended(now)
        counted = [repeated.since for repeated in self._shapes.values() if repeated.count]
        if counted:
            delay = counted[0] + self._interval - now
            self._timer = loop.call_later(max(delay, 0.0), self._ring, loop, context=Context())


def _extra(facts: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if facts is None else {"sql": facts}

"""Watch: check open units periodically for connections held too long, idle transactions, and lock waits.

One timer serves all units: a timer for each would cost more than the rest of the monitor.
"""

import asyncio
import time
from collections.abc import Callable
from contextvars import Context
from typing import Final, Protocol

from unitwork.call_site import awaiting_site, shown
from unitwork.monitor.findings import finding as findings
from unitwork.monitor.findings.finding import Finding, Findings
from unitwork.monitor.findings.thresholds import Thresholds
from unitwork.monitor.history import SAMPLE_INTERVAL_SECONDS
from unitwork.monitor.record import Record
from unitwork.unit import Unit

MIN_INTERVAL_SECONDS: Final = 0.005
"""Minimum seconds between two checks."""
INTERVAL_FRACTION: Final = 0.05
"""Interval of checks, as a fraction of the shortest threshold: the maximum relative delay of a finding."""


class Watched(Protocol):
    """The parts of the monitor that are used here."""

    @property
    def thresholds(self) -> Thresholds: ...

    findings: Findings
    open: dict[Unit, Record | None]


class Watch:
    """Checks the units of one monitor, from `start` to `stop`."""

    def __init__(
        self, monitor: Watched, sample: Callable[[], None], look_at_locks: Callable[[float], None] | None = None
    ) -> None:
        self._monitor = monitor
        self._sample = sample
        self._look_at_locks = look_at_locks
        self._timer: asyncio.TimerHandle | None = None
        self._sampled = 0.0
        self._reported: dict[Unit, list[Finding]] = {}

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is None:
            self._timer = loop.call_later(MIN_INTERVAL_SECONDS, self._look, loop, context=Context())

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        try:
            if now - self._sampled >= SAMPLE_INTERVAL_SECONDS:
                self._sampled = now
                self._sample()
            for unit, record in tuple(self._monitor.open.items()):
                if record is not None and unit.connected and not unit.ended:
                    self._check(unit, record, now)
            if self._look_at_locks is not None:
                self._look_at_locks(now)
        finally:
            pause = min(
                max(self._monitor.thresholds.shortest * INTERVAL_FRACTION, MIN_INTERVAL_SECONDS),
                SAMPLE_INTERVAL_SECONDS,
            )
            self._timer = loop.call_later(pause, self._look, loop, context=Context())

    def _check(self, unit: Unit, record: Record, now: float) -> None:
        limits = self._monitor.thresholds
        held = now - record.since
        if limits.session_leak is not None and held >= limits.session_leak and record.first_report(findings.LEAK):
            self._leak(unit, record, held)
        if limits.idle_in_transaction is None or not unit.transactional or unit.ending:
            return
        idle = 0.0 if unit.executing else now - record.active
        if idle < limits.idle_in_transaction:
            if record.reported is not None and findings.IDLE in record.reported:
                record.reported.discard(findings.IDLE)  # it is active again: report the next idle time
                self._over(unit, findings.IDLE)
        elif record.first_report(findings.IDLE):
            self._idle(unit, record, idle)

    def _leak(self, unit: Unit, record: Record, held: float) -> None:
        stack = [shown(place) for place in record.opened_by]
        opener = stack[0] if stack else shown(unit.call_site)
        self._report(
            unit,
            findings.LEAK,
            f"session leak: {named(unit)} has held a connection for {held:.2f} s, "
            f"opened at {' < '.join(stack) or opener}",
            {"held": round(held, 3), "call_site": opener, "stack": stack, **facts(unit, record)},
            held,
        )

    def _idle(self, unit: Unit, record: Record, idle: float) -> None:
        task = unit.task
        waiting = None if task is None or task.done() else awaiting_site(task)
        call_site = shown(waiting if waiting is not None else unit.call_site)
        self._report(
            unit,
            findings.IDLE,
            f"idle in transaction: {named(unit)} has sent nothing for {idle:.2f} s, it awaits at {call_site}",
            {"idle": round(idle, 3), "call_site": call_site, **facts(unit, record)},
            idle,
        )

    def _report(self, unit: Unit, kind: str, text: str, details: dict[str, object], took: float) -> None:
        finding = self._monitor.findings.report(kind, text, details, shape=details["call_site"], took=took, open=True)
        self._reported.setdefault(unit, []).append(finding)

    def ended(self, unit: Unit) -> None:
        """Mark the findings about the unit as resolved."""
        self._over(unit, *findings.KINDS)
        self._reported.pop(unit, None)

    def _over(self, unit: Unit, *kinds: str) -> None:
        for finding in self._reported.get(unit, ()):
            if finding.kind in kinds:
                finding.open = False


def named(unit: Unit) -> str:
    """Return a readable name of a unit."""
    if unit.name:
        return unit.name
    return "a transaction" if unit.transactional else "a session"


def facts(unit: Unit, record: Record | None) -> dict[str, object]:
    """Return the facts about a unit that every finding includes."""
    stack = () if record is None else record.opened_by
    return {
        "transaction": unit.name,
        "opened_at": shown(stack[0] if stack else unit.call_site),
        "statements": unit.statements if record is None else record.statements,
        "request_id": None if record is None else record.request_id,
    }

"""Lock waits: find the sessions that block a long statement, by querying PostgreSQL. Other databases aren't queried."""

import asyncio
import time
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy import Pool
from sqlalchemy.util import await_only, greenlet_spawn

from unitwork.call_site import awaiting_site, shown
from unitwork.monitor.findings import finding as findings
from unitwork.monitor.findings.finding import Finding, Findings
from unitwork.monitor.findings.thresholds import Thresholds
from unitwork.monitor.findings.watch import facts, named
from unitwork.monitor.record import Record
from unitwork.monitor.shape import Shapes
from unitwork.unit import Unit

QUERY_TIMEOUT_SECONDS: Final = 1.0
"""Timeout of one query, in seconds, including the connection."""
QUERY_INTERVAL_SECONDS: Final = 0.25
"""Minimum seconds between two queries: each opens a connection."""
QUERY_AGAIN_AFTER_SECONDS: Final = 1.0
"""Seconds to wait before querying again about a statement that wasn't waiting for a lock."""
_BLOCKED: Final = """
SELECT DISTINCT waiter.pid, holder.pid, holder.state
FROM pg_stat_activity AS waiter
CROSS JOIN LATERAL unnest(pg_blocking_pids(waiter.pid)) AS blocking (pid)
LEFT JOIN pg_stat_activity AS holder ON holder.pid = blocking.pid
WHERE waiter.pid = ANY ($1::int[]) AND waiter.wait_event_type = 'Lock'
ORDER BY 1, 2"""

Holder = tuple[int | None, str | None]
"""The blocking server process and its state, as far as our role may see it; (None, None) for a prepared transaction."""


class Watched(Protocol):
    """The parts of the monitor that are used here."""

    @property
    def thresholds(self) -> Thresholds: ...

    findings: Findings
    shapes: Shapes
    open: dict[Unit, Record | None]


@dataclass(slots=True)
class _Long:
    """A statement that exceeds the threshold."""

    begun: float
    asked: float
    finding: Finding | None = None


class LockWaits:
    """Reports lock waits of one monitor.

    It queries only while a statement exceeds the threshold, on a connection outside the pool, and reports each wait
    once.
    """

    def __init__(self, monitor: Watched, failed: Callable[[Exception], None]) -> None:
        self._monitor = monitor
        self._failed = failed
        self._long: dict[Unit, _Long] = {}
        self._asking: asyncio.Task[None] | None = None
        self._not_before = 0.0

    def look(self, now: float) -> None:
        """Query about the statements that are due. Called periodically."""
        for unit, long in tuple(self._long.items()):
            if unit.executing != long.begun:
                del self._long[unit]
                if long.finding is not None:
                    long.finding.open = False
        limit = self._monitor.thresholds.lock_wait
        if limit is None or self._asking is not None or now < self._not_before:
            return
        due: dict[Pool, dict[int, Unit]] = {}
        for unit in self._monitor.open:
            if unit.executing and now - unit.executing >= limit and self._due(unit, now):
                pool, pid = _pool(unit), process(unit)
                if pool is not None and pid is not None:
                    due.setdefault(pool, {})[pid] = unit
        if due:
            self._asking = asyncio.get_running_loop().create_task(self._ask(due), context=Context())

    async def close(self) -> None:
        """Stop querying, and close the connection of a query in progress."""
        asking, self._not_before = self._asking, float("inf")
        if asking is not None:
            asking.cancel()
            await asyncio.wait([asking])

    def _due(self, unit: Unit, now: float) -> bool:
        long = self._long.get(unit)
        return long is None or (long.finding is None and now - long.asked >= QUERY_AGAIN_AFTER_SECONDS)

    async def _ask(self, due: dict[Pool, dict[int, Unit]]) -> None:
        try:
            for pool, waiters in due.items():
                now = time.monotonic()
                begun = {unit: unit.executing for unit in waiters.values()}
                self._long |= {unit: _Long(since, now) for unit, since in begun.items() if since}
                async with asyncio.timeout(QUERY_TIMEOUT_SECONDS):
                    blocked = await greenlet_spawn(_blocked, pool, list(waiters))
                for pid, holders in blocked.items():
                    unit = waiters[pid]
                    if unit.executing and unit.executing == begun[unit]:  # it is still waiting
                        self._report(unit, holders, pool)
        except Exception as error:  # noqa: BLE001 - never raises into a unit
            self._failed(error)
        finally:
            self._asking = None
            self._not_before = max(self._not_before, time.monotonic() + QUERY_INTERVAL_SECONDS)

    def _report(self, unit: Unit, holders: list[Holder], pool: Pool) -> None:
        waited = time.monotonic() - unit.executing
        statement, call_site = self._monitor.shapes.text(unit.statement), _call_site(unit)
        ours = {process(other): other for other in self._monitor.open if _pool(other) is pool}
        blockers = [self._holder(pid, state, ours.get(pid)) for pid, state in holders]
        text = "; ".join(
            f"{holder['transaction']}, opened at {holder['opened_at']}, now at {holder['call_site']}"
            if "call_site" in holder
            else f"process {holder['pid']} ({holder['state']})"
            for holder in blockers
        )
        self._long[unit].finding = self._monitor.findings.report(
            findings.LOCK_WAIT,
            f"lock wait: {statement} [{call_site}] of {named(unit)} has waited for {waited:.2f} s, blocked by {text}",
            {
                "waited": round(waited, 3),
                "statement": statement,
                "call_site": call_site,
                "blocked_by": blockers,
                **facts(unit, self._monitor.open.get(unit)),
            },
            shape=(statement, call_site),
            took=waited,
            open=True,
        )

    def _holder(self, pid: int | None, state: str | None, unit: Unit | None) -> dict[str, object]:
        holder: dict[str, object] = {"pid": pid, "state": state or "state unknown"}
        if unit is None or pid is None:
            return holder
        opened_at = facts(unit, self._monitor.open.get(unit))["opened_at"]
        return holder | {"transaction": named(unit), "opened_at": opened_at, "call_site": _call_site(unit)}


def process(unit: Unit) -> int | None:
    """Return the id of the server process that serves the unit; None if the driver doesn't provide it."""
    connection = unit.connection
    if connection is None or connection.closed or connection.invalidated:
        return None
    driver: Any = connection.connection.driver_connection
    ask = getattr(driver, "get_server_pid", None)  # asyncpg's
    return None if ask is None else ask()


def _pool(unit: Unit) -> Pool | None:
    return None if unit.connection is None else unit.connection.engine.pool


def _call_site(unit: Unit) -> str:
    """Return the line of code at which the unit's task is."""
    call_site = None if unit.task is None or unit.task.done() else awaiting_site(unit.task)
    return shown(call_site or unit.call_site)


def _blocked(pool: Pool, pids: list[int]) -> dict[int, list[Holder]]:
    """Return those of the processes that wait for a lock, and their blockers."""
    # Connect through an empty copy of the pool: waiting units may hold all of its connections.
    connection = pool.recreate().connect()
    driver: Any = connection.driver_connection
    blocked: dict[int, list[Holder]] = {}
    try:
        for waiter, holder, state in await_only(driver.fetch(_BLOCKED, pids)):
            blocked.setdefault(waiter, []).append((holder, state))
    finally:
        driver.terminate()
        connection.invalidate()
    return blocked

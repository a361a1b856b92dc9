"""The feed: a monitor's state as JSON types, for the page and the terminal. Holds no value of any statement."""

import os
import time
from dataclasses import asdict
from typing import Any, Final

from unitwork.call_site import awaiting_site, shown
from unitwork.monitor.findings import finding as findings
from unitwork.monitor.findings.watch import named
from unitwork.monitor.monitor import SqlMonitor

MAX_ENTRIES: Final = 20
"""Maximum number of entries in each list."""
TROUBLE: Final = tuple(kind for kind in findings.KINDS if kind not in {findings.SLOW, findings.REPEATED})


def picture(monitor: SqlMonitor, *, history: bool) -> dict[str, Any]:
    """Return the current state as JSON types. With `history` it has the samples of the latest minutes, else only the
    latest one.
    """
    samples = list(monitor.history.samples)
    latest = monitor.findings.latest
    return {
        "at": round(time.time(), 3),
        "process": os.getpid(),
        "pool": asdict(monitor.pools.state()),
        "replicas": [] if monitor.replicas is None else [asdict(state) for state in monitor.replicas.states()],
        "reads": {} if monitor.replicas is None else dict(monitor.replicas.served),
        "totals": _totals(monitor),
        "open": _open(monitor),
        "statements": _statements(monitor),
        "slow": [found.as_facts() for found in latest(findings.SLOW)[:MAX_ENTRIES]],
        "repeated": [found.as_facts() for found in latest(findings.REPEATED)[:MAX_ENTRIES]],
        "trouble": sorted(
            (found.as_facts() for kind in TROUBLE for found in latest(kind)[:MAX_ENTRIES]),
            key=lambda entry: (not entry["open"], -entry["at"]),
        )[:MAX_ENTRIES],
        "thresholds": asdict(monitor.thresholds),
        "history": [asdict(sample) for sample in (samples if history else samples[-1:])],
    }


def _totals(monitor: SqlMonitor) -> dict[str, Any]:
    kinds = monitor.shapes.kinds.values()
    return {
        "statements": sum(kind.ok + kind.failed + kind.cancelled for kind in kinds),
        "failed": sum(kind.failed for kind in kinds),
        "cancelled": sum(kind.cancelled for kind in kinds),
        "seconds": round(sum(kind.seconds for kind in kinds), 3),
        "transactions": dict(monitor.transactions.outcomes),
        "retries": monitor.transactions.retries,
        "findings": dict(monitor.findings.counts),
    }


def _open(monitor: SqlMonitor) -> list[dict[str, Any]]:
    """Return units that hold a connection or wait for one, oldest first."""
    now = time.monotonic()
    lines = []
    for unit, record in sorted(monitor.open.items(), key=lambda item: item[0].since)[:MAX_ENTRIES]:
        working = now - unit.executing if unit.executing else None
        state = "waits for a connection" if not unit.connected and unit.statements else "idle"
        state = "works" if working is not None else "ends" if unit.ending else state
        call_site = None if unit.task is None or unit.task.done() else awaiting_site(unit.task)
        lines.append(
            {
                "name": named(unit),
                "opened_at": shown(record.opened_by[0] if record is not None and record.opened_by else unit.call_site),
                "awaits_at": shown(call_site) if call_site is not None else None,
                "age": round(now - unit.since, 3),
                "state": state,
                "statements": unit.statements if record is None else record.statements,
                "in_sql": round(record.in_sql if record is not None else working or 0.0, 4),
                "idle": round(now - record.active, 3) if record is not None and working is None else 0.0,
                "read_only": unit.read_only,
                "replica": unit.replica,
                "request_id": None if record is None else record.request_id,
                "statement": monitor.shapes.text(unit.statement) if working is not None else None,
            }
        )
    return lines


def _statements(monitor: SqlMonitor) -> list[dict[str, Any]]:
    """Return the statement shapes with the largest total time."""
    shapes = sorted(monitor.shapes, key=lambda shape: shape.seconds, reverse=True)[:MAX_ENTRIES]
    return [
        {
            "fingerprint": shape.fingerprint.id,
            "statement": shape.fingerprint.text,
            "count": shape.count,
            "failed": shape.failed,
            "rows": shape.rows,
            "seconds": round(shape.seconds, 4),
            "mean_ms": round(shape.seconds / shape.count * 1000, 2) if shape.count else 0.0,
            "longest_ms": round(shape.longest * 1000, 2),
            "call_site": shown(shape.call_site),
        }
        for shape in shapes
    ]

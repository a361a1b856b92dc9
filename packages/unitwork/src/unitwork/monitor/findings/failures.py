"""Failures: report a failed transaction's last statements, and both sides of a deadlock."""

import logging
import re
import sys
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy.engine import ExceptionContext

from unitwork.call_site import asking, awaiting_site, shown
from unitwork.errors import ConstraintViolation, StaleVersion
from unitwork.errors.undone import undone
from unitwork.monitor.findings import finding as findings
from unitwork.monitor.findings.finding import Findings
from unitwork.monitor.findings.lock_waits import process
from unitwork.monitor.findings.watch import facts, named
from unitwork.monitor.record import Record
from unitwork.monitor.shape import Shapes
from unitwork.outcome import Outcome
from unitwork.unit import UNIT, Unit

MAX_NOTED_EVENTS: Final = 8
"""Maximum number of events in the note on an error; the log has all that were kept."""
_PROCESS: Final = re.compile(r"Process (\d+)")

log = logging.getLogger("unitwork.sql")


def report(reports: Findings, unit: Unit, record: Record) -> None:
    """Report a unit that failed: add its last statements to the error as a note, and log them."""
    if unit.outcome is Outcome.COMMITTED or not record.statements:
        return
    left_by = sys.exc_info()[1]
    error = unit.failure or unit.root.cause or left_by
    if error is None or not unit.transactional:
        return
    outcome = "outcome unknown" if unit.outcome is Outcome.UNKNOWN else "rolled back"
    title = f"{named(unit)}, {outcome} by {type(error).__name__} after {record.statements} statements"
    events = [event.as_facts() for event in record.events]
    lines = "".join(f"\n  {event}" for event in record.events[-MAX_NOTED_EVENTS:])
    if isinstance(left_by, Exception):
        left_by.add_note(f"{title}; the last:{lines}")
    level = _level(unit, error)
    if level >= logging.WARNING:
        reports.report(
            findings.FAILED,
            f"{title}; the last:{lines}",
            {**facts(unit, record), "events": events},
            shape=(named(unit), type(error)),
            level=level,
        )
    else:
        log.log(level, "%s", title, extra={"sql": {"event": findings.FAILED, **facts(unit, record), "events": events}})


def _level(unit: Unit, error: BaseException) -> int:
    if unit.outcome is Outcome.UNKNOWN:
        return logging.ERROR
    if (
        unit.failure is None
        or isinstance(error, ConstraintViolation | StaleVersion)
        or not isinstance(error, Exception)
    ):
        return logging.DEBUG  # the caller's decision, or an expected error
    return logging.INFO if undone(error) is not None else logging.WARNING


def deadlock(reports: Findings, shapes: Shapes, open: dict[Unit, Record | None], context: ExceptionContext) -> None:
    """Report a deadlock with the statements that the victim and the other units had sent.

    The driver's error has only the victim's statement; PostgreSQL also names the other processes.
    """
    links = list(_links(context.original_exception))
    codes = {getattr(link, "sqlstate", None) for link in links} | {link.args[0] for link in links if link.args}
    if not codes & {"40P01", 1213}:
        return
    victim: Unit | None = None if context.connection is None else context.connection.get_execution_options().get(UNIT)
    processes = {int(number) for link in links for number in _PROCESS.findall(getattr(link, "detail", None) or "")}
    sides: list[dict[str, Any]] = []
    for unit, record in open.items():
        if unit is victim or (unit.executing and (not processes or process(unit) in processes)):
            task = unit.task
            call_site = None if task is None or unit is victim else awaiting_site(task)
            if unit is victim:
                call_site = asking()[0]
            sides.append(
                {
                    "victim": unit is victim,
                    "statement": shapes.text(unit.statement),
                    "call_site": shown(call_site or unit.call_site),
                    "before": []
                    if record is None
                    else [event.shape.fingerprint.text for event in record.events[-MAX_NOTED_EVENTS:]],
                    **facts(unit, record),
                }
            )
    sides.sort(key=lambda side: not side["victim"])
    lines = "".join(
        f"\n  {'rolled back' if side['victim'] else 'went on'}: {side['statement']} [{side['call_site']}]"
        for side in sides
    )
    shape = tuple(side["statement"] for side in sides)
    reports.report(findings.DEADLOCK, f"deadlock:{lines}", {"sides": sides}, shape=shape)


def _links(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__

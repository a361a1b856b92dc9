"""Repetition (N+1): one thing asked for again and again from one line, in one transaction or one piece of work.

Counted is what reads one thing: not a write, as flushes and bulk chunks send those one by one; not a statement with a
list of keys; not a page, which says how many rows it wants and gets several.
"""

from typing import Final

from unitwork.call_site import asking_stack, shown
from unitwork.models.request_id import current_request_id
from unitwork.monitor.findings.finding import Findings
from unitwork.monitor.record import Event, Plain, Record
from unitwork.monitor.work import Work

MOST: Final = 1000
"""Statements and lines that are told apart in one piece of work."""


def count_repetition(
    told: Findings, threshold: int | None, record: Record | None, work: Work | None, event: Plain
) -> None:
    """A statement that reads one thing has ended, in a unit or in some work."""
    if work is not None:
        repeats = work.repeats
    elif record is None:
        return
    elif record.repeats is None:
        repeats = record.repeats = {}
    else:
        repeats = record.repeats
    key = event[1:4]
    times = repeats.get(key, 0) + 1
    if times == 1 and len(repeats) >= MOST:
        repeats.clear()
    repeats[key] = times
    if threshold is None or times < threshold:
        return
    ended = Event(*event)
    call_site = shown(ended.call_site or ended.via)
    if times > threshold:
        told.grew(ended.shape.fingerprint.id, call_site, times)
        return
    if work is not None:
        work.repeated += 1
    facts = {**ended.told(), "request_id": current_request_id(), "times": times, "call_site": call_site}
    if ended.via is not None:
        facts["via"] = shown(ended.via)
    facts["stack"] = [shown(line) for line in asking_stack()]
    told.repeated(f"N+1, {times} times from {call_site}: {ended.shape.fingerprint.text}", facts)

"""Repetition (N+1): the same line reads single rows again and again in one transaction or one piece of work.

It counts statements that read one thing. Not counted are writes, which flushes and bulk chunks send one by one;
statements with a list of keys; and pages, which have a LIMIT and return several rows.
"""

from typing import Final

from unitwork.call_site import asking_stack, shown
from unitwork.models.request_id import current_request_id
from unitwork.monitor.findings.finding import Findings
from unitwork.monitor.record import Event, Plain, Record
from unitwork.monitor.work import Work

MAX_TRACKED: Final = 1000
"""Maximum number of (statement, line) pairs that are tracked in one piece of work."""


def count_repetition(
    reports: Findings, threshold: int | None, record: Record | None, work: Work | None, event: Plain
) -> None:
    """Count a completed statement that reads one thing, in its unit and its work, and report a repetition."""
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
    if times == 1 and len(repeats) >= MAX_TRACKED:
        repeats.clear()
    repeats[key] = times
    if threshold is None or times < threshold:
        return
    ended = Event(*event)
    call_site = shown(ended.call_site or ended.via)
    if times > threshold:
        reports.grew(ended.shape.fingerprint.id, call_site, times)
        return
    if work is not None:
        work.repeated += 1
    facts = {**ended.as_facts(), "request_id": current_request_id(), "times": times, "call_site": call_site}
    if ended.via is not None:
        facts["via"] = shown(ended.via)
    facts["stack"] = [shown(line) for line in asking_stack()]
    reports.repeated(f"N+1, {times} times from {call_site}: {ended.shape.fingerprint.text}", facts)

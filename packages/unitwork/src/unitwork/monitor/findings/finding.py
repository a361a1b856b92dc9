"""Findings: what the monitor reports. Each is counted, kept among the latest for the page, and logged; alike ones are
logged once an interval.
"""

import logging
import time
from collections import Counter, deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from unitwork.monitor.repeated_lines import RepeatedLines

MAX_FINDINGS_PER_KIND: Final = 50
"""Maximum number of findings of each kind that are kept."""
MAX_BUDGETS: Final = 100
OTHER: Final = "other"

log = logging.getLogger("unitwork.sql")

SLOW, REPEATED, LEAK, IDLE, LOCK_WAIT, DEADLOCK, FAILED, BUDGET = KINDS = (
    "slow_sql",
    "repeated_sql",
    "session_leak",
    "idle_in_transaction",
    "lock_wait",
    "deadlock",
    "failed_transaction",
    "budget_exceeded",
)


@dataclass(slots=True)
class Finding:
    """One finding. `facts` are for programs, and hold no value of any statement."""

    kind: str
    text: str
    facts: dict[str, Any]
    at: float = field(default_factory=time.time)
    """Moment of the finding, in seconds since 1970."""
    open: bool = False
    """True while the problem lasts, as a leak does until its unit ends."""

    def as_facts(self) -> dict[str, Any]:
        return {"kind": self.kind, "text": self.text, "at": round(self.at, 3), "open": self.open, **self.facts}


class Findings:
    """Findings of one monitor."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
        self.budgets: Counter[str] = Counter()
        self._latest: dict[str, deque[Finding]] = {kind: deque(maxlen=MAX_FINDINGS_PER_KIND) for kind in KINDS}
        self.lines = RepeatedLines(log)
        self._groups: dict[tuple[str, str], Finding] = {}

    def report(
        self,
        kind: str,
        text: str,
        facts: Mapping[str, Any],
        *,
        shape: Hashable,
        took: float = 0.0,
        level: int = logging.WARNING,
        open: bool = False,
    ) -> Finding:
        """Log, count and keep a finding. Findings of one kind and `shape` share a line of the log (`RepeatedLines`);
        `took` is the duration it reports, in seconds.
        """
        finding = Finding(kind, text, dict(facts), open=open)
        self.counts[kind] += 1
        if kind != REPEATED:
            self._latest[kind].append(finding)
        self.lines.write((kind, shape), text, level=level, took=took, facts={"event": kind, **finding.facts})
        return finding

    def repeated(self, text: str, facts: Mapping[str, Any]) -> Finding:
        """Report a repetition. Those of one statement from one line form a group, of which the latest is kept."""
        group = str(facts["fingerprint"]), str(facts["call_site"])
        before = self._groups.pop(group, None)
        times = 1 if before is None else before.facts["scopes"] + 1
        finding = self._groups[group] = self.report(REPEATED, text, {**facts, "scopes": times}, shape=group)
        if len(self._groups) > MAX_FINDINGS_PER_KIND:
            del self._groups[next(iter(self._groups))]
        return finding

    def grew(self, fingerprint: str, call_site: str, times: int) -> None:
        """Update the count of a reported repetition that continues."""
        finding = self._groups.get((fingerprint, call_site))
        if finding is not None:
            finding.facts["times"] = max(times, finding.facts["times"])

    def over_budget(self, name: str, reason: str) -> None:
        known = name if name in self.budgets or len(self.budgets) < MAX_BUDGETS else OTHER
        self.budgets[known] += 1
        self.report(BUDGET, f"{name}: {reason}", {"name": name, "reason": reason}, shape=known)

    def latest(self, kind: str) -> list[Finding]:
        """Return the findings of a kind, newest first."""
        return list(reversed(self._groups.values() if kind == REPEATED else self._latest[kind]))

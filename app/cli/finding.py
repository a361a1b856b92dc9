"""Finding: one line of the doctor's report."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """Works, but should be changed."""
    FAULT = "fault"
    """Doesn't work, or is insecure."""


@dataclass(frozen=True)
class Finding:
    """Result of one check: its subject, its verdict, and the fix. Holds no secret."""

    subject: str
    verdict: Verdict
    detail: str
    fix: str = ""


def ok(subject: str, detail: str) -> Finding:
    return Finding(subject, Verdict.OK, detail)


def warning(subject: str, detail: str, fix: str) -> Finding:
    return Finding(subject, Verdict.WARNING, detail, fix)


def fault(subject: str, detail: str, fix: str) -> Finding:
    return Finding(subject, Verdict.FAULT, detail, fix)

"""Finding: one line of the doctor's report."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """Works, and shouldn't stay so."""
    FAULT = "fault"
    """Doesn't work, or isn't safe."""


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and what to do about it. Holds no secret."""

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

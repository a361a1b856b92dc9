"""What became of each row of an import."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that was not imported: `line` of the file it begins on, `reason` without its values."""

    line: int
    reason: str


@dataclass
class ImportReport:
    """`rows` = `imported` + `skipped` + rejected. `skipped` rows are those whose account is there already."""

    rows: int = 0
    imported: int = 0
    skipped: int = 0
    rejected: list[Rejection] = field(default_factory=list)
    next_line: int = 1
    """Everything before this line of the file is settled: where an import that was interrupted goes on."""


class RowOutcome(StrEnum):
    IMPORTED = "imported"
    SKIPPED = "skipped"
    """Its account is there already."""
    REJECTED = "rejected"


class RowReport(NamedTuple):
    """What became of one row; `reason` is empty unless it was rejected."""

    line: int
    outcome: RowOutcome
    reason: str = ""


RowReports = Callable[[Sequence[RowReport]], None]
"""Told after each batch what became of its rows, in the order of the file."""

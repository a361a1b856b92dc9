"""What became of each row of an import."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that was not imported: `line` of the file it begins on, `reason` without its values."""

    line: int
    reason: str


@dataclass
class ImportReport:
    """`rows` = `imported` + `skipped` + rejected. `skipped` rows are those whose account is there already. Rows without
    any text are none of them.
    """

    rows: int = 0
    imported: int = 0
    skipped: int = 0
    rejected: list[Rejection] = field(default_factory=list)
    dropped: list[Rejection] = field(default_factory=list)
    """Of the imported rows those that were stored without a field that broke a rule."""
    columns: dict[str, str] = field(default_factory=dict)
    """For each field that is taken the column of the file, or the template."""
    unused_columns: list[str] = field(default_factory=list)
    """The columns that no field is made of."""
    next_line: int = 1
    """Everything before this line of the file is settled: where an import that was interrupted goes on."""

    def add(self, reports: Sequence["RowReport"]) -> None:
        """These rows are settled, too."""
        for line, outcome, reason in reports:
            self.imported += outcome is RowOutcome.IMPORTED
            self.skipped += outcome is RowOutcome.SKIPPED
            if outcome is RowOutcome.REJECTED:
                self.rejected.append(Rejection(line, reason))
            elif reason:
                self.dropped.append(Rejection(line, reason))
        self.rows += len(reports)
        if reports:
            self.next_line = reports[-1].line + 1

    def plus(self, reports: Sequence["RowReport"]) -> "ImportReport":
        """A copy to which these rows are added."""
        copy = replace(self, rejected=list(self.rejected), dropped=list(self.dropped))
        copy.add(reports)
        return copy


class RowOutcome(StrEnum):
    IMPORTED = "imported"
    SKIPPED = "skipped"
    """Its account is there already."""
    REJECTED = "rejected"


class RowReport(NamedTuple):
    """What became of one row; `reason` tells why it was rejected, or what it was stored without, and is else empty."""

    line: int
    outcome: RowOutcome
    reason: str = ""


RowReports = Callable[[Sequence[RowReport]], None]
"""Told after each batch what became of its rows, in the order of the file."""

Keep = Callable[[ImportReport], Awaitable[None]]
"""Told how far the import is, in the transaction of the rows that were stored last; what it writes is committed with
them, and what it raises undoes them.
"""

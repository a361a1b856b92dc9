"""Import report: the outcome of each row of an import."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that was not imported: `line` is its first line in the file, `reason` doesn't contain its values."""

    line: int
    reason: str


@dataclass
class ImportReport:
    """Totals of an import: `rows` = `imported` + `skipped` + rejected.

    `skipped` rows have an account already. Rows without any text aren't counted.
    """

    rows: int = 0
    imported: int = 0
    skipped: int = 0
    rejected: list[Rejection] = field(default_factory=list)
    dropped: list[Rejection] = field(default_factory=list)
    """Imported rows that were stored without a field that breaks a rule."""
    columns: dict[str, str] = field(default_factory=dict)
    """The column or template of each mapped field."""
    unused_columns: list[str] = field(default_factory=list)
    """The columns that are not mapped."""
    next_line: int = 1
    """The line at which an interrupted import continues: all rows before it are done."""

    def add(self, reports: Sequence["RowReport"]) -> None:
        """Add the outcomes of these rows."""
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
        """Return a copy with the outcomes of these rows added."""
        copy = replace(self, rejected=list(self.rejected), dropped=list(self.dropped))
        copy.add(reports)
        return copy


class RowOutcome(StrEnum):
    IMPORTED = "imported"
    SKIPPED = "skipped"
    """The account exists already."""
    REJECTED = "rejected"


class RowReport(NamedTuple):
    """The outcome of one row. `reason` says why it was rejected, or which field it was stored without; else it is
    empty.
    """

    line: int
    outcome: RowOutcome
    reason: str = ""


RowReports = Callable[[Sequence[RowReport]], None]
"""Called after each batch with the outcomes of its rows, in the order of the file."""

Keep = Callable[[ImportReport], Awaitable[None]]
"""Called with the progress of the import, in the transaction that stores a batch: its writes are committed with the
rows, and an exception rolls them back.
"""

May = Callable[[], Awaitable[None]]
"""Permission check, called before each batch and again in its transaction; an exception stops the import there."""

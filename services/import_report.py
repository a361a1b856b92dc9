"""What became of each row of an import."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
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

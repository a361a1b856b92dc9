"""CSV text: format exports and import reports."""

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from services.csv.import_report import RowReport

SPREADSHEET_LINE: Final = "sep=,\r\n"
"""Makes a spreadsheet split the lines below at commas, regardless of its locale (decision 0073)."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
"""Beginnings of cells that spreadsheets execute as formulas, including full-width forms (`＝`). A leading `'` marks
text, and so is escaped itself.
"""
REPORT_HEADER: Final = ("line", "outcome", "reason")
"""Columns of a report: line of the file; imported, skipped or rejected; reason."""


def neutral_cell(text: str) -> str:
    """Escape a cell so that no spreadsheet executes it."""
    return f"'{text}" if _runs(text) else text


def plain_cell(text: str) -> str:
    """Undo `neutral_cell`; a cell without the mark is returned unchanged."""
    return text[1:] if text.startswith("'") and _runs(text[1:]) else text


def _runs(text: str) -> bool:
    return unicodedata.normalize("NFKC", text[:1]).startswith(_FORMULA)


def csv_text(lines: Iterable[Sequence[str]]) -> str:
    """Format lines as CSV with CRLF line ends (RFC 4180)."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(lines)
    return text.getvalue()


def report_text(reports: Iterable[RowReport]) -> str:
    """Format a report's lines, without `REPORT_HEADER`."""
    return csv_text((str(report.line), report.outcome, report.reason) for report in reports)

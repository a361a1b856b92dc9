"""CSV as we write it: exports, and reports of imports."""

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from services.csv.import_report import RowReport

SPREADSHEET_LINE: Final = "sep=,\r\n"
"""Has a spreadsheet split the lines below at commas, whatever its locale splits at (decision 0073)."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
"""Spreadsheets run a cell that begins with one of these, or one of its wider forms (`＝`); `'` marks it as text, so it
is marked itself.
"""
REPORT_HEADER: Final = ("line", "outcome", "reason")
"""Line of the file, imported, skipped or rejected, and why it was rejected."""


def neutral_cell(text: str) -> str:
    """The cell as no spreadsheet runs it."""
    return f"'{text}" if _runs(text) else text


def plain_cell(text: str) -> str:
    """The cell before `neutral_cell`; one that was typed, or that a spreadsheet has freed of the mark, is as it is."""
    return text[1:] if text.startswith("'") and _runs(text[1:]) else text


def _runs(text: str) -> bool:
    return unicodedata.normalize("NFKC", text[:1]).startswith(_FORMULA)


def csv_text(lines: Iterable[Sequence[str]]) -> str:
    """The lines with CRLF ends, as RFC 4180 has them."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(lines)
    return text.getvalue()


def report_text(reports: Iterable[RowReport]) -> str:
    """The lines of a report, below `REPORT_HEADER`."""
    return csv_text((str(report.line), report.outcome, report.reason) for report in reports)

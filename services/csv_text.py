"""CSV as we write it: exports, and reports of imports."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

from services.import_report import RowReport

REPORT_HEADER: Final = ("line", "outcome", "reason")
"""Line of the file, imported, skipped or rejected, and why it was rejected."""


def csv_text(lines: Iterable[Sequence[str]]) -> str:
    """The lines with CRLF ends, as RFC 4180 has them."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(lines)
    return text.getvalue()


def report_text(reports: Iterable[RowReport]) -> str:
    """The lines of a report, below `REPORT_HEADER`."""
    return csv_text((str(report.line), report.outcome, report.reason) for report in reports)

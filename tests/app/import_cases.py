"""Files as other programs write them (`tests/data/import`), and what an import makes of each.

Their options, as a person types them, are in `expected.json` beside them.
"""

import csv
import io
from dataclasses import dataclass, field
from typing import Any, Final

from tests.cases import DATA, FILES

FOLDER: Final = DATA / "import"


@dataclass(frozen=True)
class Case:
    """A file; the accounts it makes, as e-mail address, phone and display name; words of each rejection, by line."""

    file: str
    accounts: tuple[tuple[str, str | None, str | None], ...]
    unused: tuple[str, ...] = ()
    rejected: dict[int, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return (FOLDER / self.file).read_bytes()

    @property
    def options(self) -> list[str]:
        """For the command."""
        options: list[str] = FILES[self.file]["options"]
        return options

    @property
    def query(self) -> dict[str, list[str]]:
        """The same options over HTTP."""
        query: dict[str, list[str]] = {}
        for name, value in zip(self.options[::2], self.options[1::2], strict=True):
            query.setdefault(name.removeprefix("--").replace("-", "_"), []).append(value)
        return query


CASES: Final = (
    Case(
        "google-contacts.csv",
        (("ann.lee@example.com", "+14155550181", "Ann Lee"),),
        ("Labels", "E-mail 1 - Label", "Phone 1 - Label"),
        {3: "email: "},
    ),
    Case(
        "outlook-cp1252.csv",
        (("zoe@example.com", "+49301234567", "Zoë Groß"), ("bo@example.com", "+49301234568", "Bo Li")),
        ("Anrede", "Vorname", "Nachname", "Notizen"),
    ),
    Case("ad-type-line.csv", (("ann@corp.example.com", "+61267244972", "Ann Lee"),)),
    Case("cloud-directory.csv", (("ann@example.com", None, "Ann Lee"),), ("Mobile phone [mobile]",)),
    Case(
        "crm-report.csv",
        (("ann@example.com", None, "Ann Lee"),),
        ("Salutation",),
        {4: "needs an e-mail address or a phone number", 5: "needs an e-mail address or a phone number"},
    ),
    Case("spreadsheet-blank-rows.csv", (("ann@example.com", None, "Ann"),)),
    Case("newline-in-header.csv", (("ann@example.com", None, "Ann Lee"),)),
    Case("big-unmapped-cell.csv", (("ann@example.com", None, None), ("bo@example.com", None, None)), ("photo",)),
)
REFUSED: Final = (
    ("outlook-cp1252.csv", "--encoding", ("line 2: not UTF-8", "--encoding", "encoding=")),
    ("ad-type-line.csv", "--skip-lines", ("#TYPE Selected.ADUser", "--skip-lines 1", "skip_lines=1")),
    ("cloud-directory.csv", "--skip-lines", ("version:v1.0", "--skip-lines 1", "skip_lines=1")),
)
"""A file, the option that is left out, and what is said of it then."""


def without(options: list[str], option: str) -> list[str]:
    """The options but one, which has a value."""
    at = options.index(option)
    return options[:at] + options[at + 2 :]


def edited(exported: bytes) -> bytes:
    """An export as a spreadsheet saves it whose user has dropped the ids, moved the name and added a column."""
    _, header, *rows = csv.reader(io.StringIO(exported.decode(), newline=""))
    text = io.StringIO(newline="")
    order = [header.index(name) for name in ("display_name", "phone", "email", "status", "role")]
    for row in (header, *rows):
        added = "notes" if row is header else "'x"
        csv.writer(text, delimiter=";").writerow([added, *(row[index] for index in order)])
    return text.getvalue().encode("utf-8-sig")


def case_of(file: str) -> Case:
    return next(case for case in CASES if case.file == file)


def assert_report(case: Case, report: dict[str, Any]) -> None:
    """The report that an import of the file gives, by either door."""
    assert report["imported"] == len(case.accounts)
    assert report["rows"] == len(case.accounts) + len(case.rejected)
    assert {row["line"] for row in report["rejected"]} == case.rejected.keys()
    for row in report["rejected"]:
        assert case.rejected[row["line"]] in row["reason"]
    assert report["unused_columns"] == list(case.unused)
    assert {"email"} <= report["columns"].keys()

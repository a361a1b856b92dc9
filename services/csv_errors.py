"""Why a CSV file can't be imported at all. A single bad row is no error: it is in the report.

CsvError
├── UnreadableCsv           not text, or not CSV, from some line on
├── UnknownCsvColumn        the mapping names a column that the header doesn't have
├── AmbiguousCsvColumn      the mapping names a column that the header has twice
├── UnknownField            the mapping names a field that accounts don't have
├── MalformedTemplate       the mapping's template has a brace without its partner
└── NoUsableColumn          no column stands for an e-mail address or a phone number
"""

import difflib
from collections.abc import Sequence


class CsvError(Exception):
    """Root of what makes a whole file unusable."""


class UnreadableCsv(CsvError):
    """The file is not CSV from `line` on; rows before it may have been imported."""

    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        self.reason = reason
        super().__init__(line, reason)

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


class _Unknown(CsvError):
    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(name, known)

    def _hint(self) -> str:
        near = difflib.get_close_matches(self.name, self.known, n=1)
        return f"Did you mean '{near[0]}'?" if near else f"It has: {', '.join(self.known)}."


class UnknownCsvColumn(_Unknown):
    """The mapping names a column that the file's header doesn't have."""

    def __str__(self) -> str:
        return f"the file has no column '{self.name}'. {self._hint()}"


class AmbiguousCsvColumn(CsvError):
    """The mapping names a column that the file's header has more than once."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)

    def __str__(self) -> str:
        return f"the file has more than one column '{self.name}'. Rename them, so that one can be meant."


class UnknownField(_Unknown):
    """The mapping names a field that can't be imported."""

    def __str__(self) -> str:
        return f"an account has no field '{self.name}' to import. {self._hint()}"


class MalformedTemplate(CsvError):
    """The template of `field` has a brace without its partner."""

    def __init__(self, field: str) -> None:
        self.field = field
        super().__init__(field)

    def __str__(self) -> str:
        return f"the template of '{self.field}' has a brace without its partner. Write it as '{{first}} {{last}}'."


class NoUsableColumn(CsvError):
    """No column of the file stands for an e-mail address or a phone number."""

    def __str__(self) -> str:
        return (
            "no column stands for an e-mail address or a phone number. "
            "Name one: --column email=COLUMN or --column phone=COLUMN"
        )

"""Why a CSV file can't be imported at all. A single bad row is no error: it is in the report.

CsvError
├── UnreadableCsv           not text, or not CSV, from some line on
├── CsvTooLarge             the file has more bytes than are taken
├── TooManyCsvRows          the file has more rows than are taken
├── UnknownCsvColumn        the mapping names a column that the header doesn't have
├── AmbiguousCsvColumn      a column that is meant is in the header twice
├── UnknownField            the mapping names a field that accounts don't have
├── MalformedMapping        a piece of the mapping is not FIELD=COLUMN
├── RepeatedField           the mapping names one field twice
├── MalformedTemplate       the mapping's template has a brace without its partner
├── FormattedTemplate       the mapping's template asks for a conversion or a format
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


class CsvTooLarge(CsvError):
    """The file has more than `limit` bytes; rows before may have been imported."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(limit)

    def __str__(self) -> str:
        return f"the file is larger than {self.limit} bytes. Split it, or raise GATEHOUSE_CSV__MAX_BYTES."


class TooManyCsvRows(CsvError):
    """The file has more than `limit` rows; `line` is the first one too many."""

    def __init__(self, line: int, limit: int) -> None:
        self.line = line
        self.limit = limit
        super().__init__(line, limit)

    def __str__(self) -> str:
        return (
            f"line {self.line}: the file has more than {self.limit} rows. "
            "Go on from this line, or raise GATEHOUSE_CSV__MAX_ROWS."
        )


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
    """A column that is meant, by the mapping or by its name, is in the file's header more than once."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)

    def __str__(self) -> str:
        return f"the file has more than one column '{self.name}'. Rename them, so that one can be meant."


class UnknownField(_Unknown):
    """The mapping names a field that can't be imported."""

    def __str__(self) -> str:
        return f"an account has no field '{self.name}' to import. {self._hint()}"


class MalformedMapping(CsvError):
    """A piece of the mapping is not FIELD=COLUMN."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)

    def __str__(self) -> str:
        return f"'{self.text}' is not FIELD=COLUMN. Write it as email=MAIL."


class RepeatedField(CsvError):
    """The mapping names one field more than once."""

    def __init__(self, field: str) -> None:
        self.field = field
        super().__init__(field)

    def __str__(self) -> str:
        return (
            f"'{self.field}' is given more than one column. "
            f"Give it once; several columns make one field as '{self.field}={{first}} {{last}}'."
        )


class MalformedTemplate(CsvError):
    """The template of `field` has a brace without its partner."""

    def __init__(self, field: str) -> None:
        self.field = field
        super().__init__(field)

    def __str__(self) -> str:
        return f"the template of '{self.field}' has a brace without its partner. Write it as '{{first}} {{last}}'."


class FormattedTemplate(CsvError):
    """The template of `field` has a conversion (`{name!r}`) or a format (`{name:>9}`)."""

    def __init__(self, field: str) -> None:
        self.field = field
        super().__init__(field)

    def __str__(self) -> str:
        return (
            f"the template of '{self.field}' has a conversion or a format. "
            "Braces hold a column's name and nothing else, as '{first} {last}'."
        )


class NoUsableColumn(CsvError):
    """No column of the file stands for an e-mail address or a phone number."""

    def __str__(self) -> str:
        return (
            "no column stands for an e-mail address or a phone number. "
            "Name one: --column email=COLUMN or --column phone=COLUMN"
        )

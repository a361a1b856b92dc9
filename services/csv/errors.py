"""Errors that prevent the import of a whole CSV file. A bad row is not an error: it is in the report.

CsvError
├── UnreadableCsv           not text, or not CSV, from some line on
│   └── NotCsv              another kind of file; .kind names it
├── UnknownEncoding         an unknown encoding, or one that isn't of text
├── CsvTooLarge             the file exceeds the limit of bytes
├── TooManyCsvRows          the file exceeds the limit of rows
├── UnknownCsvColumn        the mapping names a column that the header doesn't have
├── AmbiguousCsvColumn      a mapped column is in the header twice
├── UnknownField            the mapping names a field that accounts don't have
├── MalformedMapping        a piece of the mapping is not FIELD=COLUMN
├── RepeatedField           the mapping names one field twice
├── MalformedTemplate       the mapping's template has an unmatched brace
├── FormattedTemplate       the mapping's template has a conversion or a format
└── NoUsableColumn          no column maps to an e-mail address or a phone number

TextCutShort, a UnicodeError, is raised by a file whose last character is incomplete.
"""

import difflib
import re
import textwrap
from collections.abc import Sequence
from typing import Final

SHOWN: Final = 100
"""Maximum characters of a header in a message."""

_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")

COMPARED: Final = 1000
"""Maximum number of names among which a suggestion is searched."""


class CsvError(Exception):
    """Root of the errors that make a whole file unusable."""


class UnreadableCsv(CsvError):
    """The file is not CSV from `line` on; rows before it may have been imported."""

    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        self.reason = reason
        super().__init__(line, reason)

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


class NotCsv(UnreadableCsv):
    """The file is of another kind: `kind` names it, `advice` says what to do."""

    def __init__(self, kind: str, advice: str) -> None:
        self.kind = kind
        self.advice = advice
        super().__init__(1, f"{kind}; {advice}")

    def __str__(self) -> str:
        return f"the file is {self.kind}, not CSV. {self.advice}."


class UnknownEncoding(CsvError):
    """No encoding of text has this name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)

    def __str__(self) -> str:
        return f"'{self.name}' is no encoding of text. Name one, as utf-8, utf-16, cp1252, iso-8859-15 or shift_jis."


class TextCutShort(UnicodeError):
    """Raised when the bytes end within a character of `encoding`."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        super().__init__(encoding)

    def __str__(self) -> str:
        return (
            f"{self.encoding} that is cut short within a character: the file isn't whole. "
            "Fetch or save it again, best as 'CSV UTF-8'"
        )


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
        self.known = tuple(name for name in known if name)[:COMPARED]
        super().__init__(name, known)

    def _hint(self) -> str:
        near = difflib.get_close_matches(self.name, self.known, n=1)
        return f"Did you mean '{near[0]}'?" if near else f"It has: {_shown(self.known)}."


def _shown(names: Sequence[str]) -> str:
    """Return the names, shortened to fit a message."""
    return textwrap.shorten(", ".join(names), SHOWN, placeholder=" …") or "no text"


class UnknownCsvColumn(_Unknown):
    """The mapping names a column that the file's header, on `line`, doesn't have."""

    def __init__(self, name: str, known: Sequence[str], line: int = 1) -> None:
        super().__init__(name, known)
        self.line = line
        self.header: int | None = None

    def __str__(self) -> str:
        near = difflib.get_close_matches(self.name, self.known, n=1)
        if near:
            return f"the file has no column '{self.name}'. Did you mean '{near[0]}'?"
        return (
            f"the file has no column '{self.name}'. It has: {_shown(self.known)}. {_elsewhere(self.line, self.header)}"
        )


def _elsewhere(line: int, header: int | None) -> str:
    """Return a hint at `header`, a later line that does have column names, if one was found."""
    if header is not None:
        return (
            f"Line {header} names the columns, it seems: leave out the lines before it with --skip-lines {header - 1}, "
            f"over HTTP skip_lines={header - 1}."
        )
    return (
        f"If that line ({line}) doesn't name the columns, leave out the lines before the one that does: "
        f"--skip-lines {line}, over HTTP skip_lines={line}."
    )


class AmbiguousCsvColumn(CsvError):
    """The file's header has a column more than once that the mapping names, explicitly or by the field's name."""

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
    """No column maps to an e-mail address or a phone number; `line` has the columns' `names`."""

    def __init__(self, names: Sequence[str] = (), line: int = 1) -> None:
        self.names = tuple(name for name in names if name)
        self.line = line
        self.header: int | None = None
        super().__init__(names, line)

    def __str__(self) -> str:
        if self.header is None and any(_ADDRESS.fullmatch(name) for name in self.names):
            return (
                f"line {self.line} has an e-mail address where the first line names the columns. "
                "Put a line before it that does, such as: email,phone,display_name."
            )
        return (
            f"no column stands for an e-mail address or a phone number. The file has: {_shown(self.names)}. "
            f"{_elsewhere(self.line, self.header)} Else name one: --column email=COLUMN or --column phone=COLUMN."
        )

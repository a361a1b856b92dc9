"""Delimiter: the character between cells, detected from the first record or given by the caller."""

import re
from enum import StrEnum
from typing import Final


class Delimiter(StrEnum):
    """Delimiters by name, as command lines and URLs can't contain tabs."""

    COMMA = "comma"
    SEMICOLON = "semicolon"
    TAB = "tab"
    PIPE = "pipe"

    @property
    def character(self) -> str:
        """Return the delimiter itself."""
        return _CHARACTERS[self]


_CHARACTERS: Final = {Delimiter.COMMA: ",", Delimiter.SEMICOLON: ";", Delimiter.TAB: "\t", Delimiter.PIPE: "|"}
_GUESSED: Final = (",", ";", "\t")
"""Candidates for detection. `|` occurs in too many column names: it is detected only if none of these occurs."""
_QUOTED: Final = re.compile(r'(?:^|(?<=[,;\t|\n]))"(?:[^"]|"")*"')
"""A quoted cell. A quote elsewhere than at the beginning of a cell is an ordinary character (`5" screen`)."""
_NEXT: Final = re.compile(r'\n|(?:^|(?<=[,;\t|\n]))"')
_DECLARED: Final = re.compile(r"sep=([,;\t|])")
"""A first line that spreadsheets read and write; it isn't a header."""
_REWRITTEN: Final = re.compile(r'"?sep=[,;\t|]?"?[,;\t|]+')
"""A `sep=` line saved as an ordinary row by a program that doesn't support it; its delimiter is unreliable."""
_BLANK: Final = re.compile(r'(?:[\s,;|]|"")*')


def declared_delimiter(line: str) -> str | None:
    """Return the character in a line such as `sep=;`; None for another line."""
    found = _DECLARED.fullmatch(line)
    return found[1] if found else None


def before_header(line: str) -> bool:
    """True for a line that can't be the header: it has no text or declares the delimiter."""
    return bool(_BLANK.fullmatch(line) or _DECLARED.fullmatch(line) or _REWRITTEN.fullmatch(line))


def first_record(text: str, *, ended: bool) -> str | None:
    """Return the first record of the text, including line ends inside quotes; None if its end isn't known yet.

    `ended`: the text is complete.
    """
    position = 0
    while found := _NEXT.search(text, position):
        if found[0] == "\n":
            return text[: found.start()]
        cell = _QUOTED.match(text, found.start())
        if cell is None or (cell.end() == len(text) and not ended):
            break
        position = cell.end()
    return text if ended else None


def guessed_delimiter(record: str) -> str:
    """Return the most frequent delimiter outside quotes in the record; a comma if there is none."""
    bare = _QUOTED.sub("", record)
    found = max(_GUESSED, key=bare.count)
    return "|" if found not in bare and "|" in bare else found

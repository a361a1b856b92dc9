"""Delimiter: what stands between the cells of a file, told by its first line or by the caller."""

import re
from enum import StrEnum
from typing import Final


class Delimiter(StrEnum):
    """By name, as command lines and addresses hold no tabs."""

    COMMA = "comma"
    SEMICOLON = "semicolon"
    TAB = "tab"
    PIPE = "pipe"

    @property
    def character(self) -> str:
        """The delimiter itself."""
        return _CHARACTERS[self]


_CHARACTERS: Final = {Delimiter.COMMA: ",", Delimiter.SEMICOLON: ";", Delimiter.TAB: "\t", Delimiter.PIPE: "|"}
_GUESSED: Final = (",", ";", "\t")
"""`|` is taken when it is asked for: it is part of too many names of columns."""
_QUOTED: Final = re.compile(r'"(?:[^"]|"")*"')
_DECLARED: Final = re.compile(r"\ufeff?sep=([,;\t|])")
"""A first line that spreadsheets write and read, and that is no header."""


def declared_delimiter(line: str) -> str | None:
    """The character that the line `sep=;` names; None when the line is another one."""
    found = _DECLARED.fullmatch(line)
    return found[1] if found else None


def guessed_delimiter(line: str) -> str:
    """The character that the line has most of outside its quotes; a comma when it has none."""
    bare = _QUOTED.sub("", line)
    return max(_GUESSED, key=bare.count)

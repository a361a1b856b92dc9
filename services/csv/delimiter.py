"""Delimiter: what stands between the cells of a file, told by its first record or by the caller."""

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
"""`|` is part of too many names of columns: it is taken when none of these is there, or when it is asked for."""
_QUOTED: Final = re.compile(r'(?:^|(?<=[,;\t|\n]))"(?:[^"]|"")*"')
"""A quoted cell: a quote elsewhere than at a cell's beginning is an ordinary character (`5" screen`)."""
_NEXT: Final = re.compile(r'\n|(?:^|(?<=[,;\t|\n]))"')
_DECLARED: Final = re.compile(r"sep=([,;\t|])")
"""A first line that spreadsheets write and read, and that is no header."""
_REWRITTEN: Final = re.compile(r'"?sep=[,;\t|]?"?[,;\t|]+')
"""The same line once a program that doesn't know it has taken it for a row: it tells the delimiter no longer."""
_BLANK: Final = re.compile(r'(?:[\s,;|]|"")*')


def declared_delimiter(line: str) -> str | None:
    """The character that the line `sep=;` names; None when the line is another one."""
    found = _DECLARED.fullmatch(line)
    return found[1] if found else None


def before_header(line: str) -> bool:
    """True for a line that no header begins with: one without text, or one that is about the delimiter."""
    return bool(_BLANK.fullmatch(line) or _DECLARED.fullmatch(line) or _REWRITTEN.fullmatch(line))


def first_record(text: str, *, ended: bool) -> str | None:
    """The record the text begins with, line ends inside quotes included, that behind it not; None when only what
    follows the text can tell where it ends. `ended`: nothing follows.
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
    """The character that the record has most of outside its quotes; a comma when it has none."""
    bare = _QUOTED.sub("", record)
    found = max(_GUESSED, key=bare.count)
    return "|" if found not in bare and "|" in bare else found

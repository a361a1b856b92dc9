"""What stands between the cells of a file, told by its first line."""

import re
from typing import Final

DELIMITERS: Final = (",", ";", "\t", "|")
GUESSED: Final = (",", ";", "\t")
"""`|` is taken when it is asked for: it is part of too many names of columns."""
_QUOTED: Final = re.compile(r'"(?:[^"]|"")*"')
_DECLARED: Final = re.compile(r"\ufeff?sep=(.)\r?\n?")
"""A first line that spreadsheets write and read, and that is no header."""


def declared_delimiter(line: str) -> str | None:
    """The delimiter that the line `sep=;` names; None when the line is another one."""
    found = _DECLARED.fullmatch(line)
    return found[1] if found else None


def guessed_delimiter(line: str) -> str:
    """The delimiter that the line has most of outside its quotes; a comma when it has none."""
    bare = _QUOTED.sub("", line)
    return max(GUESSED, key=bare.count)

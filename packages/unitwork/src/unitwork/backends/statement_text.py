"""Statement text: what is left of a statement without its comments, and without what its strings say.

Each database has its own comments and quotes: one nests comments that another ends at the first `*/`, and MariaDB
executes some. What is skipped here in another way than there would hide a statement, or show one that isn't there.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

_MARKS: Final = re.compile(r"--|#|/\*|\*/|'|\"|`|\[|\$")
_DOLLAR: Final = re.compile(r"\$(?:[^\W\d]\w*)?\$")
_COMMENT_PART: Final = re.compile(r"/\*|\*/")
_EXECUTED: Final = re.compile(r"/\*M?!\d*")
_ESCAPE: Final = re.compile(r"\\(?:\+([0-9a-fA-F]{6})|([0-9a-fA-F]{4}))")
_WORD: Final = re.compile(r"\w+")


class PlainText(NamedTuple):
    """`text` has a blank for each comment and `''` for each string; names are without their quotes."""

    text: str
    strings: tuple[str, ...]
    """What the strings say, as it stands there."""


def plain(statement: str, dialect: str) -> PlainText:
    """Return the statement as its database reads it, from its first word on."""
    if _MARKS.search(statement) is None:
        return PlainText(statement.lstrip(" \t\r\n\f\v;("), ())
    reader = _Reader(statement, dialect)
    text = reader.read()
    return PlainText(text.lstrip(" \t\r\n\f\v;("), tuple(reader.strings))


class _Reader:
    """Goes through a statement once."""

    def __init__(self, statement: str, dialect: str) -> None:
        self.strings: list[str] = []
        self._text = statement
        self._mysql = dialect in {"mysql", "mariadb"}
        self._postgresql = dialect == "postgresql"
        self._sqlite = dialect == "sqlite"
        self._at = 0
        self._marks: dict[str, Callable[[int], str]] = {
            "--": self._line,
            "#": self._hash,
            "/*": self._comment,
            "*/": self._end_of_executed,
            "'": self._string,
            '"': self._double,
            "`": self._backtick,
            "[": self._bracket,
            "$": self._dollar,
        }

    def read(self) -> str:
        parts: list[str] = []
        while (mark := _MARKS.search(self._text, self._at)) is not None:
            parts.append(self._text[self._at : mark.start()])
            self._at = mark.end()
            parts.append(self._marks[mark[0]](mark.start()))
        parts.append(self._text[self._at :])
        return "".join(parts)

    def _line(self, start: int) -> str:
        """MariaDB wants a blank behind it; else it is two minus signs."""
        if self._mysql and not self._text[self._at : self._at + 1].isspace() and self._at < len(self._text):
            return "--"
        end = self._text.find("\n", start)
        self._at = len(self._text) if end < 0 else end
        return " "

    def _hash(self, start: int) -> str:
        if not self._mysql:
            return "#"
        end = self._text.find("\n", start)
        self._at = len(self._text) if end < 0 else end
        return " "

    def _comment(self, start: int) -> str:
        executed = _EXECUTED.match(self._text, start) if self._mysql else None
        if executed is not None:
            self._at = executed.end()
            return " "
        depth = 1
        while depth:
            part = _COMMENT_PART.search(self._text, self._at)
            if part is None:
                self._at = len(self._text)
                break
            self._at = part.end()
            if part[0] == "*/":
                depth -= 1
            elif self._postgresql:
                depth += 1
        return " "

    def _end_of_executed(self, _start: int) -> str:
        return " " if self._mysql else "*/"

    def _string(self, start: int) -> str:
        escapes = self._mysql or (self._postgresql and self._follows("e", start))
        self.strings.append(self._quoted("'", escapes=escapes))
        return "''"

    def _double(self, start: int) -> str:
        said = self._quoted('"', escapes=self._mysql)
        if self._mysql:
            self.strings.append(said)
            return "''"
        if self._postgresql and self._text[max(start - 2, 0) : start].lower() == "u&":
            said = _ESCAPE.sub(lambda code: chr(min(int(code[1] or code[2], 16), 0x10FFFF)), said)
        return _name(said)

    def _backtick(self, _start: int) -> str:
        return "`" if self._postgresql else _name(self._quoted("`", escapes=False))

    def _bracket(self, _start: int) -> str:
        if not self._sqlite:
            return "["
        end = self._text.find("]", self._at)
        said = self._text[self._at : end if end >= 0 else len(self._text)]
        self._at = len(self._text) if end < 0 else end + 1
        return _name(said)

    def _dollar(self, start: int) -> str:
        opening = _DOLLAR.match(self._text, start) if self._postgresql else None
        if opening is None or (start and (self._text[start - 1].isalnum() or self._text[start - 1] in "_$")):
            return "$"
        end = self._text.find(opening[0], opening.end())
        self.strings.append(self._text[opening.end() : end if end >= 0 else len(self._text)])
        self._at = len(self._text) if end < 0 else end + len(opening[0])
        return "''"

    def _quoted(self, quote: str, *, escapes: bool) -> str:
        """Up to its end; a doubled quote, and an escaped one, are none."""
        text, begin, at = self._text, self._at, self._at
        while True:
            end = text.find(quote, at)
            if end < 0:
                self._at = len(text)
                return text[begin:]
            escape = text.find("\\", at, end) if escapes else -1
            if escape >= 0:
                at = escape + 2
            elif text.startswith(quote, end + 1):
                at = end + 2
            else:
                self._at = end + 1
                return text[begin:end]

    def _follows(self, letter: str, start: int) -> bool:
        """True when the letter stands before, and is no word's last."""
        before = self._text[max(start - 2, 0) : start].lower()
        return before.endswith(letter) and (len(before) < 2 or not (before[0].isalnum() or before[0] in "_$"))


def _name(said: str) -> str:
    """A quoted name as a word; one that is no word as a word that means nothing."""
    return said if _WORD.fullmatch(said) else "quoted_name"

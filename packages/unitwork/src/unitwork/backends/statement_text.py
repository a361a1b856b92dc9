"""Statement text: strip a statement of its comments and of the contents of its strings.

Databases differ in comments and quotes: some nest comments, others end them at the first `*/`, and MariaDB executes
some. Reading a text differently than its database does would hide a statement, or find one that isn't there.
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
    """Statement with a blank for each comment, `''` for each string, and names without their quotes."""

    text: str
    strings: tuple[str, ...]
    """Contents of the strings, in order, with escapes as written."""


def plain(statement: str, dialect: str) -> PlainText:
    """Return the plain text of a statement as its database reads it, beginning with its first word."""
    if _MARKS.search(statement) is None:
        return PlainText(statement.lstrip(" \t\r\n\f\v;("), ())
    reader = _Reader(statement, dialect)
    text = reader.read()
    return PlainText(text.lstrip(" \t\r\n\f\v;("), tuple(reader.strings))


class _Reader:
    """Scanner that reads a statement once, from start to end."""

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
        """Skip a comment to the end of its line. On MariaDB `--` without a blank after it is two minus signs."""
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
        content = self._quoted('"', escapes=self._mysql)
        if self._mysql:
            self.strings.append(content)
            return "''"
        if self._postgresql and self._text[max(start - 2, 0) : start].lower() == "u&":
            content = _ESCAPE.sub(lambda code: chr(min(int(code[1] or code[2], 16), 0x10FFFF)), content)
        return _name(content)

    def _backtick(self, _start: int) -> str:
        return "`" if self._postgresql else _name(self._quoted("`", escapes=False))

    def _bracket(self, _start: int) -> str:
        if not self._sqlite:
            return "["
        end = self._text.find("]", self._at)
        content = self._text[self._at : end if end >= 0 else len(self._text)]
        self._at = len(self._text) if end < 0 else end + 1
        return _name(content)

    def _dollar(self, start: int) -> str:
        opening = _DOLLAR.match(self._text, start) if self._postgresql else None
        if opening is None or (start and (self._text[start - 1].isalnum() or self._text[start - 1] in "_$")):
            return "$"
        end = self._text.find(opening[0], opening.end())
        self.strings.append(self._text[opening.end() : end if end >= 0 else len(self._text)])
        self._at = len(self._text) if end < 0 else end + len(opening[0])
        return "''"

    def _quoted(self, quote: str, *, escapes: bool) -> str:
        """Read up to the closing quote and return the contents; a doubled or escaped quote doesn't close it."""
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
        """True if the letter precedes `start` as a prefix, not as the end of a word."""
        before = self._text[max(start - 2, 0) : start].lower()
        return before.endswith(letter) and (len(before) < 2 or not (before[0].isalnum() or before[0] in "_$"))


def _name(content: str) -> str:
    """Return a quoted name as a word; a placeholder for one with other characters."""
    return content if _WORD.fullmatch(content) else "quoted_name"

"""Template: the columns and literal text that form one field of an account."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from services.csv.errors import AmbiguousCsvColumn, FormattedTemplate, MalformedTemplate, UnknownCsvColumn


def column_name(cell: str) -> str:
    """Normalize a column's name for comparison and display: each run of white space becomes one space."""
    return " ".join(cell.split())


@dataclass(frozen=True)
class Template:
    """A parsed template. `text` is its source; `pieces` are pairs of literal text and the index of the column
    after it.
    """

    text: str
    pieces: tuple[tuple[str, int | None], ...]

    @classmethod
    def of(cls, column: int, name: str) -> Self:
        """Return a template of one column."""
        return cls(name, (("", column),))

    @classmethod
    def parse(cls, field: str, text: str, names: Sequence[str], *, line: int = 1) -> Self:
        """Parse a column's name, or text with names in braces, where `{{` and `}}` are literal braces.

        `names` are the file's column names, normalized by `column_name`. A name may contain any character, including
        braces: the longest match is used. Raises subclasses of `CsvError`, with `line` as the header's line.
        """
        text = column_name(text)
        if text in names or ("{" not in text and "}" not in text):
            return cls.of(_number(text, names, line), text)
        pieces: list[tuple[str, int | None]] = []
        literal, position = "", 0
        while position < len(text):
            character = text[position]
            if character not in "{}":
                literal += character
                position += 1
            elif character == "{" and (braced := _braced(text[position:], names)) is not None:
                name, length = braced
                pieces.append((literal, _number(name, names, line)))
                literal, position = "", position + length
            elif text.startswith(2 * character, position):
                literal += character
                position += 2
            else:
                raise _refusal(field, text[position:], names, line)
        return cls(text, (*pieces, (literal, None)))

    @property
    def columns(self) -> frozenset[int]:
        """Return the indexes of its columns."""
        return frozenset(column for _, column in self.pieces if column is not None)

    def render(self, cells: Sequence[str]) -> str:
        """Return the field. It is empty if all its columns are; an empty column doesn't leave a double space."""
        made, filled = "", False
        empty = False
        for literal, column in self.pieces:
            made += literal.lstrip() if empty and (not made or made[-1].isspace()) else literal
            if column is None:
                continue
            cell = cells[column].strip()
            empty = not cell
            filled = filled or not empty
            made += cell
        return made.strip() if filled else ""


def _braced(text: str, names: Sequence[str]) -> tuple[str, int] | None:
    """Return the longest column name in braces at the beginning of the text, and the length of the match; else None."""
    best: tuple[str, int] | None = None
    for name in names:
        if not name or name not in text:
            continue
        found = re.match(rf"\{{ ?{re.escape(name)} ?\}}", text)
        if found is not None and (best is None or len(name) > len(best[0])):
            best = name, found.end()
    return best


def _number(name: str, names: Sequence[str], line: int) -> int:
    if name not in names:
        raise UnknownCsvColumn(name, names, line)
    if names.count(name) > 1:
        raise AmbiguousCsvColumn(name)
    return names.index(name)


def _refusal(field: str, rest: str, names: Sequence[str], line: int) -> Exception:
    """Return the error for text that begins with an unmatched brace."""
    name, closing, _ = rest.removeprefix("{").partition("}")
    if rest.startswith("}") or not closing or "{" in name:
        return MalformedTemplate(field)
    if any(name.partition(mark)[0] in names for mark in ":!" if mark in name):
        return FormattedTemplate(field)
    return UnknownCsvColumn(name.strip(), names, line)

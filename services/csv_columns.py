"""Which columns of a file make which fields of an account."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Final, Self, TypeVar

from domain.errors import InvalidText
from domain.user import Role, UserChanges, UserStatus
from services.csv_errors import (
    AmbiguousCsvColumn,
    FormattedTemplate,
    MalformedMapping,
    MalformedTemplate,
    NoUsableColumn,
    RepeatedField,
    UnknownCsvColumn,
    UnknownField,
)

FIELDS: Final = ("email", "phone", "display_name", "role", "status")
HEADER: Final = ("id", *FIELDS, "created_at")
"""What our own export begins with; a file that begins so is read back as it was written."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "'")
"""Spreadsheets run a cell that begins with one of these; `'` marks it as text, so it is marked itself."""

E = TypeVar("E", Role, UserStatus)


def column_mapping(texts: Iterable[str]) -> dict[str, str]:
    """`FIELD=COLUMN` and `FIELD={first} {last}`, as `CsvColumns.map` takes them. Raises `MalformedMapping`,
    `RepeatedField`.
    """
    columns: dict[str, str] = {}
    for text in texts:
        field, equals, source = text.partition("=")
        field = field.strip()
        if not equals or not source:
            raise MalformedMapping(text)
        if field in columns:
            raise RepeatedField(field)
        columns[field] = source
    return columns


def neutral_cell(text: str) -> str:
    """The cell as no spreadsheet runs it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def plain_cell(text: str) -> str:
    """The cell before `neutral_cell`."""
    return text.removeprefix("'")


@dataclass(frozen=True)
class CsvColumns:
    """For each field the template that makes it: `{firstname} {lastname}`, over the columns of `header`."""

    header: tuple[str, ...]
    templates: Mapping[str, Sequence[tuple[str, str | None]]]
    """Field → pieces: a literal text, and the column that follows it."""

    @classmethod
    def map(cls, header: Sequence[str], columns: Mapping[str, str]) -> Self:
        """`columns` gives a field a column's name, or a template with names in braces; without any, columns
        are taken by their own names. Raises `CsvError` leaves.
        """
        names = tuple(name.strip() for name in header)
        if not columns:
            columns = _own_names(names)
        templates: dict[str, list[tuple[str, str | None]]] = {}
        for field, text in columns.items():
            if field not in FIELDS:
                raise UnknownField(field, FIELDS)
            pieces = _pieces(field, text, names)
            for _, name in pieces:
                if name is not None and name not in names:
                    raise UnknownCsvColumn(name, names)
                if name is not None and names.count(name) > 1:
                    raise AmbiguousCsvColumn(name)
            templates[field] = pieces
        if "email" not in templates and "phone" not in templates:
            raise NoUsableColumn
        return cls(names, templates)

    @property
    def ours(self) -> bool:
        """Whether the file is an export of ours."""
        return self.header == HEADER

    def changes(self, cells: Sequence[str]) -> UserChanges:
        """The row's fields; an empty one is left out. Raises `InvalidText` for a role or status that isn't one."""
        row = dict(zip(self.header, map(plain_cell, cells) if self.ours else cells, strict=True))
        values = {
            field: "".join(literal + (row[name] if name is not None else "") for literal, name in pieces).strip()
            for field, pieces in self.templates.items()
        }
        changes: UserChanges = {}
        if email := values.get("email"):
            changes["email"] = email
        if phone := values.get("phone"):
            changes["phone"] = phone
        if display_name := values.get("display_name"):
            changes["display_name"] = display_name
        if role := values.get("role"):
            changes["role"] = _member(Role, "role", role)
        if status := values.get("status"):
            changes["status"] = _member(UserStatus, "status", status)
        return changes


def _own_names(names: Sequence[str]) -> dict[str, str]:
    """The fields whose names, in any case, with spaces or hyphens, are columns."""
    found: dict[str, str] = {}
    for name in names:
        field = name.lower().replace(" ", "_").replace("-", "_")
        if field in found:
            raise AmbiguousCsvColumn(name)
        if field in FIELDS:
            found[field] = name
    return found


def _pieces(field: str, template: str, names: Sequence[str]) -> list[tuple[str, str | None]]:
    if (name := template.strip()) in names or ("{" not in template and "}" not in template):
        return [("", name)]
    try:
        parsed = list(Formatter().parse(template))
    except ValueError:
        raise MalformedTemplate(field) from None
    if any(conversion or format_ for _, _, format_, conversion in parsed):
        raise FormattedTemplate(field)
    return [(literal, name) for literal, name, _, _ in parsed]


def _member(kind: type[E], field: str, text: str) -> E:
    try:
        return kind(text.lower())
    except ValueError:
        raise InvalidText(field, f"is none of: {', '.join(kind)}") from None

"""Columns: map columns of a file to fields of an account."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Final, Self

from domain.user import UserChanges
from services.csv.errors import AmbiguousCsvColumn, MalformedMapping, NoUsableColumn, RepeatedField, UnknownField
from services.csv.names import usual_templates
from services.csv.template import Template, column_name
from services.csv.text import plain_cell


class AccountField(StrEnum):
    """The fields of an account that a file may contain."""

    EMAIL = "email"
    PHONE = "phone"
    DISPLAY_NAME = "display_name"
    ROLE = "role"
    STATUS = "status"


FIELDS: Final = tuple(field.value for field in AccountField)
HEADER: Final = ("id", *FIELDS, "created_at")
"""The header of our own export; cells under these names are read back as they were written."""
CONTACTS: Final = frozenset({"email", "phone"})
"""An account needs one of these."""
RIGHTS: Final = frozenset({"role", "status"})
"""Fields that are never mapped by name alone: other programs use these names with other meanings, and an import must
not appoint admins by accident.
"""
OURS: Final = 6
"""Minimum number of `HEADER`'s names in a file for it to be an edited export of ours."""
OURS_WITH_NAME: Final = 4
"""Minimum number if `display_name` is among them, a name that other programs don't use."""


def column_mapping(texts: Iterable[str]) -> dict[str, str]:
    """Parse `FIELD=COLUMN` and `FIELD={first} {last}` to what `CsvColumns.map` takes. Raises `MalformedMapping`,
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


@dataclass(frozen=True)
class CsvColumns:
    """The template of each field, over the columns in `names`."""

    names: tuple[str, ...]
    templates: Mapping[str, Template]
    plain: frozenset[int]
    """Columns with names of our own export, whose cells are read as it writes them."""

    @classmethod
    def map(cls, header: Sequence[str], columns: Mapping[str, str], *, line: int = 1) -> Self:
        """Map the columns in a header to fields.

        `columns` maps a field to a column's name, or to a template with names in braces. Other fields are mapped by
        their own names; if `columns` has none, also by names that other programs use, and so are e-mail address and
        phone number if neither is mapped otherwise. role and status are mapped only by `columns`, or in an export of
        ours. Raises subclasses of `CsvError`, with `line` as the header's line.
        """
        names = tuple(map(column_name, header))
        templates: dict[str, Template] = {}
        for field, text in columns.items():
            if field not in FIELDS:
                raise UnknownField(field, FIELDS)
            templates[field] = Template.parse(field, text, names, line=line)
        templates = _own(names, sure=not columns) | templates
        if not columns:
            templates = usual_templates(names, without=templates) | templates
        elif not CONTACTS & templates.keys():
            templates = usual_templates(names, without={"display_name"}) | templates
        if not CONTACTS & templates.keys():
            raise NoUsableColumn(names, line)
        plain = frozenset(column for column, name in enumerate(names) if name in HEADER)
        return cls(names, {field: templates[field] for field in FIELDS if field in templates}, plain)

    @property
    def used(self) -> dict[str, str]:
        """Return the column or template of each mapped field."""
        return {field: template.text for field, template in self.templates.items()}

    @property
    def unused(self) -> list[str]:
        """Return the names of the columns that are not mapped."""
        return [name for column, name in enumerate(self.names) if name and column not in self.taken]

    @cached_property
    def taken(self) -> frozenset[int]:
        """Return the indexes of the mapped columns."""
        return frozenset[int]().union(*(template.columns for template in self.templates.values()))

    def changes(self, cells: Sequence[str]) -> UserChanges:
        """Return the row's fields without the empty ones. Values of role and status are checked by the account."""
        row = [plain_cell(cell) if column in self.plain else cell for column, cell in enumerate(cells)]
        values = {field: template.render(row) for field, template in self.templates.items()}
        changes: Any = {field: value for field, value in values.items() if value}
        for field in RIGHTS & changes.keys():
            changes[field] = changes[field].lower()
        made: UserChanges = changes
        return made


def _own(names: Sequence[str], *, sure: bool) -> dict[str, Template]:
    """Return fields whose own names are columns, ignoring case, spaces and hyphens.

    A name that two columns have isn't mapped, or raises `AmbiguousCsvColumn` if the caller is `sure` that it is meant.
    """
    ours = len(frozenset(HEADER) & frozenset(names)) >= (OURS_WITH_NAME if "display_name" in names else OURS)
    found: dict[str, Template] = {}
    twice: set[str] = set()
    for column, name in enumerate(names):
        field = name.lower().replace(" ", "_").replace("-", "_")
        if field not in FIELDS or (field in RIGHTS and not (ours and name == field)):
            continue
        if field in found:
            if sure:
                raise AmbiguousCsvColumn(name)
            twice.add(field)
        found[field] = Template.of(column, name)
    return {field: template for field, template in found.items() if field not in twice}

"""Which columns of a file make which fields of an account."""

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
    """What of an account a file can have."""

    EMAIL = "email"
    PHONE = "phone"
    DISPLAY_NAME = "display_name"
    ROLE = "role"
    STATUS = "status"


FIELDS: Final = tuple(field.value for field in AccountField)
HEADER: Final = ("id", *FIELDS, "created_at")
"""What our own export begins with; cells under these names are read back as it wrote them."""
CONTACTS: Final = frozenset({"email", "phone"})
"""An account needs one of them."""
RIGHTS: Final = frozenset({"role", "status"})
"""Other programs have columns of these names, too, which mean something else and must make nobody an admin."""
OURS: Final = 6
"""So many names of `HEADER` make a file an edited export of ours."""
OURS_WITH_NAME: Final = 4
"""Fewer do where `display_name` is among them, which others spell otherwise."""


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


@dataclass(frozen=True)
class CsvColumns:
    """For each field the template that makes it, over the columns of `names`."""

    names: tuple[str, ...]
    templates: Mapping[str, Template]
    plain: frozenset[int]
    """Columns under names of our own export, whose cells are as it wrote them."""

    @classmethod
    def map(cls, header: Sequence[str], columns: Mapping[str, str], *, line: int = 1) -> Self:
        """`columns` gives a field a column's name, or a template with names in braces. Other fields are taken from
        columns of their own names, and where `columns` has none, from such as are usual; so are e-mail address and
        phone number where there would be neither. role and status are taken when `columns` has them, or from an export
        of ours. Raises `CsvError` leaves, with `line` as the header's.
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
        """For each field that is taken the column, or the template."""
        return {field: template.text for field, template in self.templates.items()}

    @property
    def unused(self) -> list[str]:
        """The names of the columns that no field is made of."""
        return [name for column, name in enumerate(self.names) if name and column not in self.taken]

    @cached_property
    def taken(self) -> frozenset[int]:
        """The columns that fields are made of."""
        return frozenset[int]().union(*(template.columns for template in self.templates.values()))

    def changes(self, cells: Sequence[str]) -> UserChanges:
        """The row's fields; an empty one is left out. What role and status are, is for the account to judge."""
        row = [plain_cell(cell) if column in self.plain else cell for column, cell in enumerate(cells)]
        values = {field: template.render(row) for field, template in self.templates.items()}
        changes: Any = {field: value for field, value in values.items() if value}
        for field in RIGHTS & changes.keys():
            changes[field] = changes[field].lower()
        made: UserChanges = changes
        return made


def _own(names: Sequence[str], *, sure: bool) -> dict[str, Template]:
    """The fields whose names, in any case, with spaces or hyphens, are columns. Of two, none is taken, or, where it is
    `sure` that nothing else was meant, `AmbiguousCsvColumn` is raised.
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

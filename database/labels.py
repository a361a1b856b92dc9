"""Labels of enums, as they come from the database: one that this version doesn't know is told with the row it is in.

SQLAlchemy finds it when a row is made, where nobody knows any more which one; so the rows are looked at as the driver
gives them. It costs a look-up in a set for each row and enum column, and nothing where a statement reads none.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Enum, TypeDecorator
from sqlalchemy.sql.compiler import SQLCompiler

from database.errors import UnknownLabel

_KEPT: Final = "_gatehouse_labels"
"""Of a compiled statement, as it is kept with it."""


class _Labelled(NamedTuple):
    """A column of an answer that holds labels, and where the answer has the primary key of its row."""

    position: int
    known: frozenset[Any]
    table: str
    column: str
    key: tuple[tuple[str, int], ...]


class Labels(tuple[_Labelled, ...]):
    """Of one statement's answers."""

    __slots__ = ()

    def check(self, rows: Iterable[Sequence[Any]]) -> None:
        """Raises `UnknownLabel` for the first row that has one."""
        for row in rows:
            for position, known, table, column, key in self:
                label = row[position]
                if label is not None and label not in known:
                    raise UnknownLabel(table, column, label, {name: row[where] for name, where in key})


NONE: Final = Labels()


def labels_of(context: Any) -> Labels:
    """Of what was executed; none for a text, whose columns have no types."""
    compiled = context.compiled
    if not isinstance(compiled, SQLCompiler):
        return NONE
    kept: Labels | None = compiled.__dict__.get(_KEPT)
    if kept is None:
        kept = compiled.__dict__[_KEPT] = _labels(compiled, context.cursor)
    return kept


def check_labels(labels: Labels, cursor: Any) -> None:
    """Raises `UnknownLabel` for an answer that the driver has given whole; for the fetches of a stream see
    `database.fetches`.
    """
    if labels and cursor.description:
        labels.check(getattr(cursor, "_rows", None) or ())


def _labels(compiled: SQLCompiler, cursor: Any) -> Labels:
    columns = [_column_of(entry) for entry in compiled._result_columns]  # noqa: SLF001 - it has no public name
    if not any(_enum(column) for column in columns if column is not None):
        return NONE
    described = [one[0] for one in cursor.description or ()]
    if len(described) != len(columns):
        return NONE
    if not compiled._ordered_columns:  # noqa: SLF001 - a compiled SELECT's columns have no public name; test_unknown_labels pins them
        by_name = {entry[0]: column for entry, column in zip(compiled._result_columns, columns, strict=True)}  # noqa: SLF001 - a compiled SELECT's columns have no public name; test_unknown_labels pins them
        columns = [by_name.get(name) for name in described]
    return Labels(
        _Labelled(position, frozenset(enum.enums), _table(column), column.name, _key(column.table, columns))
        for position, column in enumerate(columns)
        if column is not None and (enum := _enum(column)) is not None
    )


def _column_of(entry: Any) -> Any:
    """The column of a table, or of what stands for one, that an entry of the answer is; None for anything else."""
    return next((one for one in entry[2] if getattr(one, "table", None) is not None and hasattr(one, "type")), None)


def _enum(column: Any) -> Enum | None:
    type_ = column.type
    while isinstance(type_, TypeDecorator):
        type_ = type_.impl_instance
    return type_ if isinstance(type_, Enum) else None


def _table(column: Any) -> str:
    """The table's own name, of an alias too."""
    table = column.table
    while hasattr(table, "element"):
        table = table.element
    return str(getattr(table, "name", None) or "a subquery")


def _key(table: Any, columns: Sequence[Any]) -> tuple[tuple[str, int], ...]:
    """Where the answer has the table's primary key; empty where it was not read."""
    return tuple(
        (column.name, position)
        for position, column in enumerate(columns)
        if column is not None and column.primary_key and _same(column.table, table)
    )


def _same(one: Any, other: Any) -> bool:
    """An ORM construct's tables are annotated copies, equal and not the same."""
    return one is other or bool(one == other)

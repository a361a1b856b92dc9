"""Enum labels in answers: report a label that this version of the program doesn't have, with the key of its row.

SQLAlchemy finds such a label when it builds a value, without the row it belongs to; so the driver's rows are checked
instead. It costs one set look-up per row and enum column, and nothing for statements that read no enum.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ARRAY, Enum, TypeDecorator
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.visitors import iterate

from unitwork.errors import UnknownLabel

_KEPT: Final = "_unitwork_labels"
"""Attribute of a compiled statement in which its labels are cached."""


class _OfArray:
    """Set of the labels that an array may hold, in any number of dimensions."""

    def __init__(self, labels: frozenset[Any]) -> None:
        self._labels = labels

    def __contains__(self, value: Any) -> bool:
        return self.unknown(value) is None

    def unknown(self, value: Any) -> Any:
        """Return the first value that isn't a known label; None if all are known."""
        if not isinstance(value, list | tuple):
            return None if value in self._labels else value
        return next((one for one in map(self.unknown, value) if one is not None), None)


class _Labelled(NamedTuple):
    """Enum column of an answer, and the positions of its row's primary key in the answer."""

    position: int
    known: frozenset[Any] | _OfArray
    read: Callable[[Any], Any] | None
    """The type's result processor. Raises LookupError for an unknown label; a custom type may accept one."""
    table: str
    column: str
    key: tuple[tuple[str, int], ...]


class Labels(tuple[_Labelled, ...]):
    """Enum columns of one statement's answers."""

    __slots__ = ()

    def check(self, rows: Iterable[Sequence[Any]]) -> None:
        """Raise `UnknownLabel` for the first row with an unknown label."""
        for row in rows:
            for labelled in self:
                label = row[labelled[0]]
                if label is not None and label not in labelled[1] and not _accepts(label, labelled.read):
                    known, key = labelled.known, {name: row[where] for name, where in labelled.key}
                    one = known.unknown(label) if isinstance(known, _OfArray) else label
                    raise UnknownLabel(labelled.table, labelled.column, one, key)


def _accepts(value: Any, read: Callable[[Any], Any] | None) -> bool:
    """True if the type accepts a value that isn't one of its labels."""
    if read is None:
        return True
    try:
        read(value)
    except LookupError:
        return False
    return True


NONE: Final = Labels()


def labels_of(context: Any) -> Labels:
    """Return the enum columns of an executed statement; none for a textual one, whose columns have no types."""
    compiled = context.compiled
    if not isinstance(compiled, SQLCompiler):
        return NONE
    kept: Labels | None = compiled.__dict__.get(_KEPT)
    if kept is None:
        kept = compiled.__dict__[_KEPT] = _labels(compiled, context.cursor)
    return kept


def check_labels(labels: Labels, context: Any, cursor: Any) -> None:
    """Raise `UnknownLabel` for an unknown label in an answer that was read whole; streams are checked in
    `unitwork.sessions.session`.
    """
    if labels and cursor.description:
        try:
            labels.check(getattr(cursor, "_rows", None) or ())
        except UnknownLabel as error:
            raise error if error.key else _of_refreshed(error, context) from None


def _of_refreshed(error: UnknownLabel, context: Any) -> UnknownLabel:
    """Return the error with its row's key, if the statement refreshes an instance: such a statement doesn't select the
    key.
    """
    options = context.execution_options.get("_sa_orm_load_options")
    state = getattr(options, "_refresh_state", None)
    if state is None or state.key is None:
        return error
    names = [column.name for column in state.mapper.primary_key]
    key = dict(zip(names, state.key[1], strict=True))
    return UnknownLabel(error.table, error.column, error.label, key)


def _labels(compiled: SQLCompiler, cursor: Any) -> Labels:
    entries = list(compiled._result_columns)  # noqa: SLF001 - a compiled SELECT's columns have no public name; test_unknown_labels pins them
    dialect = compiled.dialect
    if not any(_enum(entry[3], dialect) for entry in entries):
        return NONE
    described = [one[0] for one in cursor.description or ()]
    if len(described) != len(entries):
        return NONE
    if not compiled._ordered_columns:  # noqa: SLF001 - a compiled SELECT's columns have no public name; test_unknown_labels pins them
        by_name = {entry[0]: entry for entry in entries}
        found = [by_name.get(name) for name in described]
    else:
        found = list(entries)
    columns = [None if entry is None else _column_of(entry) for entry in found]
    return Labels(
        _labelled(position, entry, columns, dialect)
        for position, entry in enumerate(found)
        if entry is not None and _enum(entry[3], dialect)
    )


def _labelled(position: int, entry: Any, columns: Sequence[Any], dialect: Dialect) -> _Labelled:
    type_ = entry[3]
    enum = _enum(type_, dialect)
    assert enum is not None  # noqa: S101 - for the type checker
    labels: Any = frozenset(enum.enums)
    known = _OfArray(labels) if _array(type_, dialect) else labels
    read = type_.dialect_impl(dialect).result_processor(dialect, None)
    column = columns[position] if columns[position] is not None else _enum_column_in(entry, dialect)
    if column is None:
        return _Labelled(position, known, read, "the answer", entry[1], ())
    return _Labelled(position, known, read, _table(column), column.name, _key(column.table, columns))


def _column_of(entry: Any) -> Any:
    """Return the column of a table or alias that an answer's entry is, labelled or not; None for an expression."""
    plain = (getattr(one, "element", one) for one in entry[2])
    return next((one for one in plain if getattr(one, "table", None) is not None and hasattr(one, "type")), None)


def _enum_column_in(entry: Any, dialect: Dialect) -> Any:
    """Return the enum column inside an expression; None if there is none."""
    parts: Iterator[Any] = (part for one in entry[2] if isinstance(one, ColumnElement) for part in iterate(one))
    columns = [one for one in parts if getattr(one, "table", None) is not None and hasattr(one, "type")]
    return next((one for one in columns if _enum(one.type, dialect)), None)


def _enum(type_: Any, dialect: Dialect) -> Enum | None:
    """Return the Enum that a type, or an array's element type, is on this database; None for others."""
    type_ = _dialect_type(type_, dialect)
    if isinstance(type_, ARRAY):
        return _enum(type_.item_type, dialect)
    return type_ if isinstance(type_, Enum) else None


def _array(type_: Any, dialect: Dialect) -> bool:
    return isinstance(_dialect_type(type_, dialect), ARRAY)


def _dialect_type(type_: Any, dialect: Dialect) -> Any:
    """Return the dialect's own type, with variants and decorators resolved."""
    type_ = type_.dialect_impl(dialect)
    while isinstance(type_, TypeDecorator):
        type_ = type_.impl_instance
    return type_


def _table(column: Any) -> str:
    """Return the table's own name, also for an alias of it."""
    table = column.table
    while hasattr(table, "element"):
        table = table.element
    return str(getattr(table, "name", None) or "a subquery")


def _key(table: Any, columns: Sequence[Any]) -> tuple[tuple[str, int], ...]:
    """Return name and position of the table's primary-key columns in the answer; empty if they weren't selected."""
    return tuple(
        (column.name, position)
        for position, column in enumerate(columns)
        if column is not None and column.primary_key and _same(column.table, table)
    )


def _same(one: Any, other: Any) -> bool:
    """Compare tables: those of an ORM construct are annotated copies, equal but not identical."""
    return one is other or bool(one == other)

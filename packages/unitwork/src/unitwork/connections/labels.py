"""Labels of enums, as they come from the database: one that this version doesn't know is told with the row it is in.

SQLAlchemy finds it when a row is made, where nobody knows any more which one; so the rows are looked at as the driver
gives them. It costs a look-up in a set for each row and enum column, and nothing where a statement reads none.
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
"""Of a compiled statement, as it is kept with it."""


class _OfArray:
    """The labels that an array may hold, however many dimensions it has."""

    def __init__(self, labels: frozenset[Any]) -> None:
        self._labels = labels

    def __contains__(self, value: Any) -> bool:
        return self.unknown(value) is None

    def unknown(self, value: Any) -> Any:
        """The first that isn't one of them."""
        if not isinstance(value, list | tuple):
            return None if value in self._labels else value
        return next((one for one in map(self.unknown, value) if one is not None), None)


class _Labelled(NamedTuple):
    """A column of an answer that holds labels, and where the answer has the primary key of its row."""

    position: int
    known: frozenset[Any] | _OfArray
    read: Callable[[Any], Any] | None
    """What its type makes of a value. Raises LookupError; a type of one's own may know what to do."""
    table: str
    column: str
    key: tuple[tuple[str, int], ...]


class Labels(tuple[_Labelled, ...]):
    """Of one statement's answers."""

    __slots__ = ()

    def check(self, rows: Iterable[Sequence[Any]]) -> None:
        """Raises `UnknownLabel` for the first row that has one."""
        for row in rows:
            for labelled in self:
                label = row[labelled[0]]
                if label is not None and label not in labelled[1] and not _is_read(label, labelled.read):
                    known, key = labelled.known, {name: row[where] for name, where in labelled.key}
                    one = known.unknown(label) if isinstance(known, _OfArray) else label
                    raise UnknownLabel(labelled.table, labelled.column, one, key)


def _is_read(value: Any, read: Callable[[Any], Any] | None) -> bool:
    """Whether the type takes a value that isn't one of its labels."""
    if read is None:
        return True
    try:
        read(value)
    except LookupError:
        return False
    return True


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


def check_labels(labels: Labels, context: Any, cursor: Any) -> None:
    """Raises `UnknownLabel` for an answer that the driver has given whole; for the fetches of a stream see
    `unitwork.sessions.fetches`.
    """
    if labels and cursor.description:
        try:
            labels.check(getattr(cursor, "_rows", None) or ())
        except UnknownLabel as error:
            raise error if error.key else _of_refreshed(error, context) from None


def _of_refreshed(error: UnknownLabel, context: Any) -> UnknownLabel:
    """The error with its row, where that is a model's which is read again: such a statement doesn't read the key."""
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
    column = columns[position] if columns[position] is not None else _inside(entry, dialect)
    if column is None:
        return _Labelled(position, known, read, "the answer", entry[1], ())
    return _Labelled(position, known, read, _table(column), column.name, _key(column.table, columns))


def _column_of(entry: Any) -> Any:
    """The column of a table, or of what stands for one, that an entry of the answer is, under a name of its own too;
    None for anything else.
    """
    plain = (getattr(one, "element", one) for one in entry[2])
    return next((one for one in plain if getattr(one, "table", None) is not None and hasattr(one, "type")), None)


def _inside(entry: Any, dialect: Dialect) -> Any:
    """The column that an expression takes its labels from."""
    parts: Iterator[Any] = (part for one in entry[2] if isinstance(one, ColumnElement) for part in iterate(one))
    columns = [one for one in parts if getattr(one, "table", None) is not None and hasattr(one, "type")]
    return next((one for one in columns if _enum(one.type, dialect)), None)


def _enum(type_: Any, dialect: Dialect) -> Enum | None:
    """What a type, or that of an array's elements, is on this database."""
    type_ = _resolved(type_, dialect)
    if isinstance(type_, ARRAY):
        return _enum(type_.item_type, dialect)
    return type_ if isinstance(type_, Enum) else None


def _array(type_: Any, dialect: Dialect) -> bool:
    return isinstance(_resolved(type_, dialect), ARRAY)


def _resolved(type_: Any, dialect: Dialect) -> Any:
    """The dialect's own type, of a variant and inside what decorates it."""
    type_ = type_.dialect_impl(dialect)
    while isinstance(type_, TypeDecorator):
        type_ = type_.impl_instance
    return type_


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

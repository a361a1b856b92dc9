"""NewRows: the values of rows to be stored past the ORM, with the defaults and stamps that a flush would give them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from types import NoneType
from typing import Any, Final

from sqlalchemy import ClauseElement, Table, inspect
from sqlalchemy.orm import Mapper

from domain.bulk_defaults import ForMany, for_many
from repositories.columns import column

Values = dict[str, Any]
"""By column key. What isn't in it, the database gives, or is NULL."""
Columns = dict[str, Sequence[Any]]
"""The values of many rows, by column key."""


UNSET: Final = object()
"""Among the values of columns: not given, and so NULL, where a given None is a value of its own."""


class DefaultContext:
    """What a column's default may ask for: the session's execution options, and the values that stand already."""

    def __init__(self, execution_options: Mapping[str, Any]) -> None:
        self.execution_options: Final = execution_options
        self.current_parameters: Values = {}

    def get_current_parameters(self, isolate_multiinsert_groups: bool = True) -> Values:
        return self.current_parameters


@dataclass(frozen=True)
class _Source:
    """Where a column's value comes from when it isn't given."""

    attribute: str
    key: str
    keeps_none: bool
    """A given None is a value (JSON's null)."""
    make: Callable[[DefaultContext], Any] | None
    make_many: ForMany | None
    by_database: bool

    @property
    def unset(self) -> Any:
        """Stands for a value that isn't given."""
        return UNSET if self.keeps_none and self.make is None and not self.by_database else None


@dataclass(frozen=True)
class _Shape:
    """What is the same for all rows of a model."""

    simple: bool
    table: Any
    attributes: dict[str, str]
    attribute_names: frozenset[str]
    sources: Sequence[_Source]
    names: Sequence[str]


@cache
def _shape(model: type[Any]) -> _Shape:
    mapper: Mapper[Any] = inspect(model)
    table: Any = mapper.local_table
    attributes = {one.columns[0].key: one.key for one in mapper.column_attrs if one.columns[0].table is table}
    sources = [_source(one, attributes[one.key]) for one in table.columns if one.key in attributes]
    return _Shape(
        simple=isinstance(table, Table) and not mapper.inherits and mapper.polymorphic_on is None,
        table=table,
        attributes=attributes,
        attribute_names=frozenset(attributes.values()),
        sources=sources,
        names=[table.columns[source.key].name for source in sources],
    )


class NewRows:
    """Of one model, for one session. None counts as not given, as in a model, and gets the column's default."""

    def __init__(self, model: type[Any], execution_options: Mapping[str, Any]) -> None:
        hashable: Any = model
        shape = _shape(hashable)
        self.model: Final = model
        self.simple: Final = shape.simple
        """Whether a row is one of one table."""
        self.table: Final[Any] = shape.table
        self.attributes: Final = shape.attributes
        """Attribute by column key."""
        self._names: Final = shape.attribute_names
        self._sources: Final = shape.sources
        self.names: Final = shape.names
        """Of the columns, in the order of `columns`."""
        self._context: Final = DefaultContext(execution_options)

    def of(self, given: Mapping[str, Any]) -> Values:
        """The row of a mapping by attribute. Raises `UnknownColumn`, with a suggestion, and what a default raises."""
        self.check(given)
        return self._row(given)

    def check(self, given: Mapping[str, Any]) -> None:
        """Raises `UnknownColumn`, with a suggestion, for what is no column."""
        if not given.keys() <= self._names:
            for name in given:
                column(self.model, name)

    def of_model(self, given: Mapping[str, Any]) -> Values | None:
        """The row of a model's dictionary; None when the database gives some of it. Raises what a default raises."""
        row = self._row(given)
        return row if len(row) == len(self._sources) else None

    def columns(self, given: Sequence[Mapping[str, Any]], *, of_models: bool = False) -> Columns | None:
        """The rows of mappings by attribute, or of models' dictionaries, column by column, which takes a fraction of
        the time that `of` takes for each. None when they aren't all of one shape: for an expression, or a value that
        the database gives.

        Raises as `of` does.
        """
        names = set().union(*given)
        if not (of_models or names <= self._names):
            for one in given:
                self.check(one)
        context, columns = self._context, Columns()
        for source in self._sources:
            values = _values(source, given) if source.attribute in names else [source.unset] * len(given)
            types = set(map(type, values)) if source.attribute in names else {type(source.unset)}
            if any(issubclass(one, ClauseElement) for one in types):
                return None
            if NoneType in types and (source.make is not None or source.by_database):
                if source.make is None or source.keeps_none:
                    return None
                if source.make_many is not None and len(types) == 1:
                    values = source.make_many(context, columns, len(given))
                else:
                    values = self._filled(source.make, values, columns)
            columns[source.key] = values
        return columns

    def _filled(self, make: Callable[[DefaultContext], Any], values: Sequence[Any], columns: Columns) -> Sequence[Any]:
        filled = list(values)
        for index, value in enumerate(values):
            if value is None:
                self._context.current_parameters = {key: column[index] for key, column in columns.items()}
                filled[index] = make(self._context)
        return filled

    def _row(self, given: Mapping[str, Any]) -> Values:
        row: Values = {}
        context = self._context
        context.current_parameters = row
        for source in self._sources:
            value = given.get(source.attribute)
            if value is None and not (source.keeps_none and source.attribute in given):
                if source.make is not None:
                    value = source.make(context)
                elif source.by_database or source.keeps_none:
                    continue
            row[source.key] = value
        return row


def _values(source: _Source, given: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
    try:
        return list(map(itemgetter(source.attribute), given))
    except KeyError:
        return [one.get(source.attribute, source.unset) for one in given]


def has_expression(row: Values) -> bool:
    """Whether a value is SQL."""
    for value in row.values():  # noqa: SIM110 - a generator takes twice the time, for each new row
        if isinstance(value, ClauseElement):
            return True
    return False


def _scalar(value: Any) -> tuple[Callable[[DefaultContext], Any], ForMany]:
    return lambda _context: value, lambda _context, _columns, count: [value] * count


def _source(one: Any, attribute: str) -> _Source:
    default = one.default
    make: Callable[[DefaultContext], Any] | None = None
    make_many: ForMany | None = None
    if default is not None and default.is_callable:
        make, make_many = default.arg, for_many(default.arg)
    elif default is not None and default.is_scalar:
        make, make_many = _scalar(default.arg)

    given_by_database = default is not None or one.server_default is not None or one is one.table.autoincrement_column
    return _Source(
        attribute,
        str(one.key),
        keeps_none=one.type.should_evaluate_none,
        make=make,
        make_many=make_many,
        by_database=make is None and given_by_database,
    )

"""NewRows: the values of rows stored past the ORM, with the defaults and stamps that a flush would give them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from types import NoneType
from typing import Any, Final

from sqlalchemy import Table, inspect
from sqlalchemy.orm import Mapper
from sqlalchemy.sql.roles import SQLRole

from unitwork.models.bulk_defaults import ForMany, for_many
from unitwork.models.derived_columns import MADE_OF, Derivation
from unitwork.rows.columns import column

Values = dict[str, Any]
"""A row's values by column key. A missing column gets the database's default, or NULL."""
Columns = dict[str, Sequence[Any]]
"""The values of many rows, by column key."""


_NONE_MISSING: Final[Mapping[str, str]] = {}
UNSET: Final = object()
"""Placeholder for a value that isn't given, where an explicit None is a value of its own."""


class NeedsStatement(Exception):
    """Raised when a default needs an attribute that only an executing statement has, such as its connection."""


class DefaultContext:
    """The context passed to column defaults: execution options, and the row's values so far (given ones and earlier
    defaults). Any other attribute raises `NeedsStatement`.
    """

    def __init__(self, execution_options: Mapping[str, Any]) -> None:
        self.execution_options: Final = execution_options
        self.current_parameters: Values = {}

    def get_current_parameters(self, isolate_multiinsert_groups: bool = True) -> Values:
        return self.current_parameters

    def __getattr__(self, name: str) -> Any:
        raise NeedsStatement(name)


@dataclass(frozen=True)
class _Source:
    """The source of a column's value when it isn't given."""

    attribute: str
    key: str
    keeps_none: bool
    """True if an explicit None is stored as a value (JSON's null)."""
    make: Callable[[DefaultContext], Any] | None
    make_many: ForMany | None
    by_database: bool
    returned: bool
    """True if a flush fetches the value that the database gives, by RETURNING."""

    @property
    def unset(self) -> Any:
        """The placeholder for a value that isn't given."""
        return UNSET if self.keeps_none and self.make is None and not self.by_database else None


@dataclass(frozen=True)
class _Shape:
    """The properties that all rows of a model share."""

    simple: bool
    table: Any
    attributes: dict[str, str]
    attribute_names: frozenset[str]
    sources: Sequence[_Source]
    defaults: Sequence[tuple[str, str]]
    """The (key, attribute) pairs of columns whose default is computed here."""
    names: Sequence[str]


@cache
def _shape(model: type[Any]) -> _Shape:
    mapper: Mapper[Any] = inspect(model)
    table: Any = mapper.local_table
    attributes = {one.columns[0].key: one.key for one in mapper.column_attrs if one.columns[0].table is table}
    sources = [_source(one, attributes[one.key], mapper) for one in table.columns if one.key in attributes]
    return _Shape(
        simple=isinstance(table, Table) and not mapper.inherits and mapper.polymorphic_on is None,
        table=table,
        attributes=attributes,
        attribute_names=frozenset(attributes.values()),
        sources=sources,
        defaults=[(source.key, source.attribute) for source in sources if source.make is not None],
        names=[table.columns[source.key].name for source in sources],
    )


class NewRows:
    """Computes rows of one model for one session. None counts as not given, as in a model, and gets the default."""

    def __init__(self, model: type[Any], execution_options: Mapping[str, Any]) -> None:
        hashable: Any = model
        shape = _shape(hashable)
        self.model: Final = model
        self.simple: Final = shape.simple
        """True if a row is stored in exactly one table."""
        self.table: Final[Any] = shape.table
        self.attributes: Final = shape.attributes
        """Attribute name by column key."""
        self._names: Final = shape.attribute_names
        self._sources: Final = shape.sources
        self._defaults: Final = shape.defaults
        self.names: Final = shape.names
        """Names of the columns, in the order of `columns`."""
        self._context: Final = DefaultContext(execution_options)

    def of(self, given: Mapping[str, Any]) -> Values:
        """Return the row of a mapping by attribute. Raises `UnknownColumn`, with a suggestion, and what a default
        raises.
        """
        self.check(given)
        return self._row(given)

    def check(self, given: Mapping[str, Any]) -> None:
        """Raise `UnknownColumn`, with a suggestion, for a key that is no column."""
        if not given.keys() <= self._names:
            for name in given:
                column(self.model, name)

    def of_model(self, given: Mapping[str, Any]) -> Values:
        """Return the row of a model's `__dict__`, without what the database gives. Raises what a default raises."""
        return self._row(given)

    def missing(self, row: Values) -> Mapping[str, str] | None:
        """Return the columns that the row lacks, each with its attribute; None if RETURNING doesn't fetch one of them,
        as a flush would.
        """
        if len(row) == len(self._sources):
            return _NONE_MISSING
        lacking = [source for source in self._sources if source.key not in row]
        return {one.key: one.attribute for one in lacking} if all(one.returned for one in lacking) else None

    def give(self, given: dict[str, Any], row: Values) -> None:
        """Copy the row's defaults into a model's `__dict__`, as a flush does."""
        for key, attribute in self._defaults:
            if given.get(attribute) is None:
                given[attribute] = row[key]

    def give_all(self, given: Sequence[dict[str, Any]], columns: Columns) -> None:
        """Copy defaults into many models' `__dict__`s, as `give` does for one."""
        for key, attribute in self._defaults:
            for one, value in zip(given, columns[key], strict=True):
                if one.get(attribute) is None:
                    one[attribute] = value

    def columns(self, given: Sequence[Mapping[str, Any]], *, of_models: bool = False) -> Columns | None:
        """Return the rows column by column, in a fraction of the time that `of` takes row by row.

        `given` are mappings by attribute, or models' `__dict__`s. None if the rows differ in shape, contain SQL
        expressions or need a value computed by the database. Raises as `of` does.
        """
        names = set().union(*given)
        if not (of_models or names <= self._names):
            for one in given:
                self.check(one)
        columns, missing = Columns(), list[tuple[_Source, Sequence[Any]]]()
        for source in self._sources:
            values = _values(source, given) if source.attribute in names else [source.unset] * len(given)
            types = set(map(type, values)) if source.attribute in names else {type(source.unset)}
            if any(map(_sql, types)):
                return None
            if NoneType in types and (source.make is not None or source.by_database):
                if source.make is None or source.keeps_none:
                    return None
                missing.append((source, values))
            else:
                columns[source.key] = values
        try:
            self._fill(columns, missing, len(given))
        except NeedsStatement:
            return None
        return {source.key: columns[source.key] for source in self._sources}

    def _fill(self, columns: Columns, missing: Sequence[tuple[_Source, Sequence[Any]]], count: int) -> None:
        """Add the columns' defaults; each default sees the given values and the defaults before it."""
        some = {source.key: values for source, values in missing if any(value is not None for value in values)}
        for source, values in missing:
            if source.make_many is not None and source.key not in some:
                columns[source.key] = source.make_many(self._context, columns, count)
                continue
            filled, make = list(values), source.make
            for index, value in enumerate(values):
                if value is None and make is not None:
                    known = {key: column[index] for key, column in some.items() if column[index] is not None}
                    known |= {key: column[index] for key, column in columns.items() if column[index] is not UNSET}
                    self._context.current_parameters = known
                    filled[index] = make(self._context)
            columns[source.key] = filled

    def _row(self, given: Mapping[str, Any]) -> Values:
        row: Values = {}
        missing: list[_Source] = []
        context = self._context
        context.current_parameters = row
        for source in self._sources:
            value = given.get(source.attribute)
            if value is None and not (source.keeps_none and source.attribute in given):
                if source.make is not None:
                    missing.append(source)
                    continue
                if source.by_database or source.keeps_none:
                    continue
            row[source.key] = value
        try:
            for source in missing:
                if source.make is not None:
                    row[source.key] = source.make(context)
        except NeedsStatement:
            pass  # the statement computes this and the following ones
        return row


def _values(source: _Source, given: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
    try:
        return list(map(itemgetter(source.attribute), given))
    except KeyError:
        return [one.get(source.attribute, source.unset) for one in given]


def has_expression(row: Mapping[str, Any]) -> bool:
    """True if a value of the row is a SQL expression."""
    for value in row.values():  # a generator takes twice the time, for each new row
        kind: Any = type(value)
        if _sql(kind):
            return True
    return False


@cache
def _sql(type_: type[Any]) -> bool:
    """True if values of the type are SQL expressions."""
    return issubclass(type_, SQLRole) or hasattr(type_, "__clause_element__")


def _scalar(value: Any) -> tuple[Callable[[DefaultContext], Any], ForMany]:
    return lambda _context: value, lambda _context, _columns, count: [value] * count


def _key(derivation: Derivation) -> tuple[Callable[[DefaultContext], Any], ForMany]:
    def many(_context: Any, columns: Mapping[str, Sequence[Any]], count: int) -> Sequence[Any]:
        return [derivation.key(value) for value in columns.get(derivation.source, [None] * count)]

    return lambda context: derivation.key(context.current_parameters.get(derivation.source)), many


def _source(one: Any, attribute: str, mapper: Mapper[Any]) -> _Source:
    default = one.default
    make: Callable[[DefaultContext], Any] | None = None
    make_many: ForMany | None = None
    if default is not None and default.is_callable:
        make, make_many = default.arg, for_many(default.arg)
    elif default is not None and default.is_scalar:
        make, make_many = _scalar(default.arg)
    elif default is None and MADE_OF in one.info:
        make, make_many = _key(one.info[MADE_OF])

    given_by_database = default is not None or one.server_default is not None or one is one.table.autoincrement_column
    by_database = make is None and given_by_database
    return _Source(
        attribute,
        str(one.key),
        keeps_none=one.type.should_evaluate_none,
        make=make,
        make_many=make_many,
        by_database=by_database,
        returned=by_database and _returned(one, mapper),
    )


def _returned(one: Any, mapper: Mapper[Any]) -> bool:
    """True if the flush of a new row reads the column's value back in its INSERT."""
    if not one.table.implicit_returning:
        return False
    sequence = one.default is not None and one.default.is_sequence
    return bool(one.primary_key or (mapper.base_mapper.eager_defaults is not False and not sequence))

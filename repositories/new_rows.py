"""NewRows: the values of rows to be stored past the ORM, with the defaults and stamps that a flush would give them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ClauseElement, Dialect, Table, inspect
from sqlalchemy.orm import Mapper
from sqlalchemy.types import TypeEngine

from repositories.columns import column

Values = dict[str, Any]
"""By column key. What isn't in it, the database gives."""


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
    by_database: bool


class NewRows:
    """Of one model, for one session. None counts as not given, as in a model, and gets the column's default."""

    def __init__(self, model: type[Any], execution_options: Mapping[str, Any]) -> None:
        mapper: Mapper[Any] = inspect(model)
        table = mapper.local_table
        self.model: Final = model
        self.simple: Final = isinstance(table, Table) and not mapper.inherits and mapper.polymorphic_on is None
        """Whether a row is one of one table."""
        self.table: Final[Any] = table
        self.attributes: Final = {
            one.columns[0].key: one.key for one in mapper.column_attrs if one.columns[0].table is table
        }
        """Attribute by column key."""
        self._names: Final = set(self.attributes.values())
        self._sources: Final = [
            _source(one, self.attributes[one.key]) for one in table.columns if one.key in self.attributes
        ]
        self._context: Final = DefaultContext(execution_options)

    def of(self, given: Mapping[str, Any]) -> Values:
        """The row of a mapping by attribute. Raises `UnknownColumn`, with a suggestion, and what a default raises."""
        if not given.keys() <= self._names:
            for name in given:
                column(self.model, name)
        return self._row(given)

    def of_model(self, model: Any) -> Values:
        """The row of a model."""
        return self._row(inspect(model).dict)

    def _row(self, given: Mapping[str, Any]) -> Values:
        row: Values = {}
        context = self._context
        context.current_parameters = row
        for source in self._sources:
            value = given.get(source.attribute)
            if value is None and not (source.keeps_none and source.attribute in given):
                if source.make is not None:
                    value = source.make(context)
                elif source.by_database:
                    continue
            row[source.key] = value
        return row

    def records(self, rows: Sequence[Values], dialect: Dialect) -> list[tuple[Any, ...]] | None:
        """What the driver takes of these rows, in the order of the first one's keys; None when only a statement can
        store them: for a value that the database gives, an expression among the values, or one that the column's type
        puts around them.
        """
        keys = list(rows[0])
        if any(len(row) < len(self._sources) for row in rows):
            return None
        columns = []
        for key in keys:
            type_ = self.table.columns[key].type
            values: Iterable[Any] = [row[key] for row in rows]
            if _wraps(type_) or any(isinstance(value, ClauseElement) for value in values):
                return None
            process = type_.dialect_impl(dialect).bind_processor(dialect)
            columns.append(values if process is None else [process(value) for value in values])
        return list(zip(*columns, strict=True))


def has_expression(row: Values) -> bool:
    """Whether a value is SQL."""
    return any(isinstance(value, ClauseElement) for value in row.values())


def _source(one: Any, attribute: str) -> _Source:
    default = one.default
    make: Callable[[DefaultContext], Any] | None = None
    if default is not None and default.is_callable:
        make = default.arg
    elif default is not None and default.is_scalar:
        scalar = default.arg

        def make(_context: DefaultContext) -> Any:
            return scalar

    given_by_database = default is not None or one.server_default is not None or one is one.table.autoincrement_column
    return _Source(
        attribute,
        str(one.key),
        keeps_none=one.type.should_evaluate_none,
        make=make,
        by_database=make is None and given_by_database,
    )


def _wraps(type_: TypeEngine[Any]) -> bool:
    """Whether values of the type are sent inside an expression."""
    return bool(type_._has_bind_expression)  # noqa: SLF001 - what the compiler itself asks

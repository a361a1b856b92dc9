"""Conditions: the WHERE clause that all builders share."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NoReturn, Self, TypeVar

from sqlalchemy import BindParameter, Select, bindparam, inspect, or_
from sqlalchemy.types import TypeEngine

from unitwork.dao.statements.comparison import (
    MEMBERSHIP,
    VALUELESS,
    Comparison,
    Expression,
    Shape,
    compared,
    condition,
    with_value,
)
from unitwork.dao.statements.membership import MAX_SQLITE_PARAMETERS, SQLITE_LONG_LIST, Bind
from unitwork.rows.columns import ColumnName, column, soft_deletable

T = TypeVar("T")


@dataclass(frozen=True)
class Conditions(Generic[T]):
    """An immutable builder over one model: each method returns a new builder, and conditions are joined by AND.

    Columns are names or mapped attributes; an unknown one raises `UnknownColumn` with a suggestion. None as a value
    raises `NullComparison`. Soft-deleted rows are excluded unless `include_deleted`.
    """

    model: type[T]
    include_deleted: bool = False
    conditions: tuple[Comparison | Expression, ...] = ()

    ends: ClassVar[str] = ".all() or .first()"
    """The methods that run this builder, as the error for a forgotten one names them."""

    def __await__(self) -> NoReturn:
        raise TypeError(self._has_no_end("awaited"))

    def __iter__(self) -> NoReturn:
        raise TypeError(self._has_no_end("iterated"))

    def __aiter__(self) -> NoReturn:
        raise TypeError(self._has_no_end("iterated"))

    def _has_no_end(self, used: str) -> str:
        return f"a {type(self).__name__} is {used} before it has run; end it, and await that: `await …{self.ends}`."

    @property
    def entity(self) -> Any:
        """The model that conditions refer to, or its alias in a query over a subquery."""
        return self.model

    def where(self, *expressions: Expression) -> Self:
        """Add SQLAlchemy expressions."""
        return changed(self, conditions=self.conditions + expressions)

    def filter_by(self, **columns: Any) -> Self:
        """Require each named column to equal its value."""
        builder = self
        for name, value in columns.items():
            builder = builder.eq(name, value)
        return builder

    def eq(self, name: ColumnName, value: Any) -> Self:
        return self._compare("eq", name, value)

    def ne(self, name: ColumnName, value: Any) -> Self:
        return self._compare("ne", name, value)

    def gt(self, name: ColumnName, value: Any) -> Self:
        return self._compare("gt", name, value)

    def ge(self, name: ColumnName, value: Any) -> Self:
        return self._compare("ge", name, value)

    def lt(self, name: ColumnName, value: Any) -> Self:
        return self._compare("lt", name, value)

    def le(self, name: ColumnName, value: Any) -> Self:
        return self._compare("le", name, value)

    def between(self, name: ColumnName, low: Any, high: Any) -> Self:
        """Require low <= column <= high."""
        return self.ge(name, low).le(name, high)

    def in_(self, name: ColumnName, values: Iterable[Any] | Select[Any]) -> Self:
        """Require the column to be among the values, any number of them, or among the rows of a SELECT.

        An empty collection matches nothing; None among the values raises `NullComparison`.
        """
        return self._compare("in_", name, values)

    def not_in(self, name: ColumnName, values: Iterable[Any] | Select[Any]) -> Self:
        """Require the column to be none of the values. An empty collection excludes nothing."""
        return self._compare("not_in", name, values)

    def like(self, name: ColumnName, pattern: str) -> Self:
        """Require SQL's LIKE: `%` and `_` in the pattern are wildcards."""
        return self._compare("like", name, pattern)

    def contains(self, name: ColumnName, text: str) -> Self:
        """Require the column to contain the text; `%` and `_` are matched literally."""
        return self._compare("contains", name, text)

    def startswith(self, name: ColumnName, text: str) -> Self:
        """Require the column to begin with the text; `%` and `_` are matched literally."""
        return self._compare("startswith", name, text)

    def is_null(self, name: ColumnName) -> Self:
        return self._compare("is_null", name)

    def is_not_null(self, name: ColumnName) -> Self:
        return self._compare("is_not_null", name)

    def any_of(self, *expressions: Expression) -> Self:
        """Require at least one of the expressions; without any, nothing matches."""
        return self.where(or_(False, *expressions))

    @property
    def criteria(self) -> tuple[Expression, ...]:
        """The conditions, including the one that excludes soft-deleted rows."""
        return (*self.conditions_for(), *self.soft_delete_filter())

    def conditions_for(self, dialect: str | None = None) -> list[Expression]:
        """Return the caller's conditions, without the soft-delete filter, as SQL for `dialect`; None for any
        dialect.
        """
        return [
            with_value(one, self.entity, dialect) if isinstance(one, Comparison) else one for one in self.conditions
        ]

    def soft_delete_filter(self) -> list[Expression]:
        """Return the condition that excludes soft-deleted rows; empty if they are included or the model has none."""
        return [] if self.include_deleted or not soft_deletable(self.model) else [self.entity.deleted_at.is_(None)]

    @property
    def shapes(self) -> tuple[Shape, ...] | None:
        """The conditions without their values; None if some are the caller's own expressions."""
        shapes = tuple(one.shape for one in self.conditions if isinstance(one, Comparison))
        return shapes if len(shapes) == len(self.conditions) else None

    def parameters(self) -> dict[str, Any]:
        """Return the values of the conditions, by the parameter names that `conditions_of` uses."""
        return {
            f"p{place}": one.value
            for place, one in enumerate(self.conditions)
            if isinstance(one, Comparison) and one.shape.operator not in VALUELESS
        }

    def dialect_name(self, dialect: str) -> str:
        """Return the dialect's name for `conditions_of`: another one when a list may exceed SQLite's limits."""
        if dialect == "sqlite" and any(
            isinstance(one, Comparison) and one.shape.operator in MEMBERSHIP and len(one.value) > MAX_SQLITE_PARAMETERS
            for one in self.conditions
        ):
            return SQLITE_LONG_LIST
        return dialect

    def versioned(self) -> bool:
        """True if the conditions select one row in a given version."""
        mapper = inspect(self.model)
        equal = {one.shape.column for one in self.conditions if isinstance(one, Comparison) and one.shape[0] == "eq"}
        primary = {mapper.get_property_by_column(key).key for key in mapper.primary_key}
        return mapper.version_id_col is not None and equal >= primary | {
            mapper.get_property_by_column(mapper.version_id_col).key
        }

    def _compare(self, operator: str, name: ColumnName, value: Any = None) -> Self:
        attribute = getattr(self.entity, column(self.model, name).key)
        return changed(self, conditions=(*self.conditions, compared(operator, attribute, value)))


def conditions_of(shapes: Iterable[Shape], entity: Any, dialect: str) -> list[Expression]:
    """Return the conditions for these shapes; `Conditions.parameters` gives their values."""
    return [condition(shape, entity, named(f"p{place}"), dialect) for place, shape in enumerate(shapes)]


def named(name: str) -> Bind:
    """Return a factory of a bind parameter with this name, whose value is given at execution."""

    def bind(type_: TypeEngine[Any], *, expanding: bool = False) -> BindParameter[Any]:
        return bindparam(name, type_=type_, expanding=expanding)

    return bind


B = TypeVar("B")


def changed(builder: B, **values: Any) -> B:
    """Return a copy with these fields replaced, without running `__init__`.

    Like `dataclasses.replace`, for dataclasses without `__post_init__`. Builders are copied at every step, and running
    `__init__` would take most of that time.
    """
    copy = object.__new__(type(builder))
    copy.__dict__.update(builder.__dict__, **values)
    return copy

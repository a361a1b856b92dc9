"""Conditions: what every builder narrows its rows by, from one table of operators."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, Self, TypeVar

from sqlalchemy import ColumnElement, or_

from repositories.columns import ColumnName, column, soft_deletable
from repositories.errors import NullComparison

T = TypeVar("T")
Expression = ColumnElement[bool]

OPERATORS: Final[dict[str, Callable[[Any, Any], Expression]]] = {
    "eq": lambda column, value: column == value,
    "ne": lambda column, value: column != value,
    "gt": lambda column, value: column > value,
    "ge": lambda column, value: column >= value,
    "lt": lambda column, value: column < value,
    "le": lambda column, value: column <= value,
    "like": lambda column, value: column.like(value),
    "contains": lambda column, value: column.contains(value, autoescape=True),
    "startswith": lambda column, value: column.startswith(value, autoescape=True),
    "in_": lambda column, values: column.in_(values),
    "not_in": lambda column, values: column.not_in(values),
}


@dataclass(frozen=True)
class Conditions(Generic[T]):
    """An immutable builder over one model: each method gives a new builder, and all conditions must hold.

    Columns are names or mapped attributes; an unknown one raises `UnknownColumn` with a suggestion. None as a
    value raises `NullComparison`. Soft-deleted rows are left out unless `include_deleted`.
    """

    model: type[T]
    include_deleted: bool = False
    conditions: tuple[Expression, ...] = ()

    def where(self, *expressions: Expression) -> Self:
        """Any SQLAlchemy expressions."""
        return replace(self, conditions=self.conditions + expressions)

    def filter_by(self, **columns: Any) -> Self:
        """Each named column equals its value."""
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
        """Both ends included."""
        return self.ge(name, low).le(name, high)

    def in_(self, name: ColumnName, values: Iterable[Any]) -> Self:
        """An empty collection matches nothing; a None among the values raises `NullComparison`."""
        return self._compare("in_", name, list(values))

    def not_in(self, name: ColumnName, values: Iterable[Any]) -> Self:
        """An empty collection leaves nothing out."""
        return self._compare("not_in", name, list(values))

    def like(self, name: ColumnName, pattern: str) -> Self:
        """SQL's LIKE, literally: `%` and `_` are wildcards."""
        return self._compare("like", name, pattern)

    def contains(self, name: ColumnName, text: str) -> Self:
        """The text occurs; `%` and `_` in it are themselves."""
        return self._compare("contains", name, text)

    def startswith(self, name: ColumnName, text: str) -> Self:
        """The column begins with the text; `%` and `_` in it are themselves."""
        return self._compare("startswith", name, text)

    def is_null(self, name: ColumnName) -> Self:
        return self.where(column(self.model, name).is_(None))

    def is_not_null(self, name: ColumnName) -> Self:
        return self.where(column(self.model, name).is_not(None))

    def any_of(self, *expressions: Expression) -> Self:
        """At least one of the expressions holds; without any, nothing matches."""
        return self.where(or_(False, *expressions))

    @property
    def criteria(self) -> tuple[Expression, ...]:
        """The conditions, and the one that leaves soft-deleted rows out."""
        if self.include_deleted or not soft_deletable(self.model):
            return self.conditions
        return (*self.conditions, column(self.model, "deleted_at").is_(None))

    def _compare(self, operator: str, name: ColumnName, value: Any) -> Self:
        attribute = column(self.model, name)
        if value is None or (isinstance(value, list) and None in value):
            raise NullComparison(attribute.key, operator)
        return self.where(OPERATORS[operator](attribute, value))

"""Comparison: one condition of a builder, by operator.

The shape (operator and column) is separate from the value, so that builders of one shape share a cached statement and
the value is a parameter.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from sqlalchemy import BindParameter, ColumnElement, Integer, bindparam
from sqlalchemy.sql import roles

from unitwork.dao.statements.membership import Bind, Membership, member, not_member
from unitwork.errors.query import NullComparison, OutOfRange

Expression = ColumnElement[bool]

LARGEST: Final = (1 << 63) - 1
ESCAPE: Final = "/"


class Operator(NamedTuple):
    """The SQL of an operator, and the conversion of its value."""

    render: Callable[[Any, Any], Expression]
    prepare: Callable[[Any], Any] | None = None


class Shape(NamedTuple):
    """An operator on a column, without a value."""

    operator: str
    column: str


class Comparison(NamedTuple):
    """A shape and its value."""

    shape: Shape
    value: Any = None


def literally(text: str) -> str:
    """Escape text for LIKE, so that wildcards match literally."""
    return text.replace(ESCAPE, 2 * ESCAPE).replace("%", ESCAPE + "%").replace("_", ESCAPE + "_")


OPERATORS: Final[dict[str, Operator]] = {
    "eq": Operator(lambda column, value: column == value),
    "ne": Operator(lambda column, value: column != value),
    "gt": Operator(lambda column, value: column > value),
    "ge": Operator(lambda column, value: column >= value),
    "lt": Operator(lambda column, value: column < value),
    "le": Operator(lambda column, value: column <= value),
    "like": Operator(lambda column, value: column.like(value)),
    "contains": Operator(lambda column, value: column.contains(value, escape=ESCAPE), literally),
    "startswith": Operator(lambda column, value: column.startswith(value, escape=ESCAPE), literally),
    "is_null": Operator(lambda column, _: column.is_(None)),
    "is_not_null": Operator(lambda column, _: column.is_not(None)),
}
MEMBERSHIP: Final[dict[str, Membership]] = {"in_": member, "not_in": not_member}
"""The operators that take a list of values."""
VALUELESS: Final = frozenset({"is_null", "is_not_null"})


def compared(operator: str, attribute: Any, value: Any = None) -> Comparison | Expression:
    """Return the condition. A SQL value yields a SQL expression. Raises `NullComparison` for None as or among the
    values, and `OutOfRange` for an integer of more than 64 bits.
    """
    key = attribute.key
    if operator in VALUELESS:
        return Comparison(Shape(operator, key))
    if is_sql(value):
        sql: Expression = (
            getattr(attribute, operator)(value)
            if operator in MEMBERSHIP
            else OPERATORS[operator].render(attribute, value)
        )
        return sql
    values = list(value) if operator in MEMBERSHIP else [value]
    for one in values:
        if one is None:
            raise NullComparison(key, operator)
        if isinstance(one, int) and not -LARGEST <= one <= LARGEST and isinstance(attribute.type, Integer):
            raise OutOfRange(key, operator)
    if operator in MEMBERSHIP:
        return Comparison(Shape(operator, key), values)
    prepare = OPERATORS[operator].prepare
    return Comparison(Shape(operator, key), value if prepare is None else prepare(value))


def condition(shape: Shape, entity: Any, bind: Bind, dialect: str | None) -> Expression:
    """Return the SQL of a shape over the entity (a model, or its alias). `bind` creates the parameter for its value;
    `dialect` None means any database.
    """
    attribute = getattr(entity, shape.column)
    if shape.operator in MEMBERSHIP:
        return MEMBERSHIP[shape.operator](attribute, bind, dialect)
    if shape.operator in VALUELESS:
        return OPERATORS[shape.operator].render(attribute, None)
    return OPERATORS[shape.operator].render(attribute, bind(attribute.type))


def with_value(comparison: Comparison, entity: Any, dialect: str | None = None) -> Expression:
    """Return the SQL of the comparison, with its value bound."""

    def bind(type_: Any, *, expanding: bool = False) -> BindParameter[Any]:
        return bindparam(None, comparison.value, type_=type_, unique=True, expanding=expanding)

    return condition(comparison.shape, entity, bind, dialect)


def is_sql(value: Any) -> bool:
    """True if the value is a SQL expression or an attribute that stands for one."""
    return isinstance(value, roles.SQLRole) or hasattr(value, "__clause_element__")

"""Expressions: evaluate a SQLAlchemy expression for one row, with SQL's semantics.

None is NULL and the truth value unknown: a comparison with NULL is unknown, and only rows for which a condition is true
match. An unsupported construct raises `NotFaked`; support for one is added by registering a function. Text is compared
by code point and LIKE is case-sensitive, as on PostgreSQL with the C collation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce, singledispatch
from typing import Any

from sqlalchemy import (
    BinaryExpression,
    BindParameter,
    BooleanClauseList,
    ClauseElement,
    Column,
    ColumnClause,
    Null,
    Table,
    UnaryExpression,
)
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import ClauseList, ExpressionClauseList, False_, Grouping, Label, True_
from sqlalchemy.sql.sqltypes import TupleType

from unitwork.testing.fakes.errors import NotFaked, written
from unitwork.testing.fakes.rows.comparisons import CALCULATIONS, COMPARISONS, LOGIC, UNARY, between, in_
from unitwork.testing.fakes.rows.values import Values, stored


@dataclass(frozen=True)
class Row:
    """One row of one table."""

    table: Table
    values: Values


def is_expression(value: Any) -> bool:
    """True if the value is a SQL expression or an attribute that stands for one."""
    return isinstance(value, ClauseElement) or hasattr(value, "__clause_element__")


def matches(criteria: Sequence[Any], row: Row) -> bool:
    """True if every criterion is true for the row; unknown doesn't match."""
    return not criteria or LOGIC[operators.and_]([evaluate(criterion, row) for criterion in criteria]) is True


def check_faked(criteria: Sequence[Any], table: Table) -> None:
    """Raise `NotFaked` for unsupported criteria, even if there are no rows."""
    matches(criteria, Row(table, dict.fromkeys(table.columns.keys())))


@singledispatch
def evaluate(expression: Any, row: Row) -> Any:
    """Return the expression's value, in stored form. Raises `NotFaked`."""
    if is_expression(expression) and not isinstance(expression, ClauseElement):
        return evaluate(expression.__clause_element__(), row)
    raise NotFaked(written(expression))


@evaluate.register
def _null(_expression: Null, _row: Row) -> None:
    return None


@evaluate.register
def _true(_expression: True_, _row: Row) -> bool:
    return True


@evaluate.register
def _false(_expression: False_, _row: Row) -> bool:
    return False


@evaluate.register
def _column(expression: ColumnClause, row: Row) -> Any:  # type: ignore[type-arg]  # a class is registered, not an alias
    table = expression.table
    if isinstance(expression, Column):
        if isinstance(table, Table) and table.fullname == row.table.fullname and expression.key in row.values:
            return row.values[expression.key]
    elif table is None and expression.name in row.table.columns:
        return row.values[row.table.columns[expression.name].key]  # literal_column("version")
    raise NotFaked(f"a column that is not {row.table.name}'s, {written(expression)},")


@evaluate.register
def _parameter(expression: BindParameter, _row: Row) -> Any:  # type: ignore[type-arg]
    type_, value = expression.type, expression.effective_value
    if not expression.expanding:
        return stored(type_, value)
    if isinstance(type_, TupleType):
        return [tuple(map(stored, type_.types, several)) for several in value or ()]
    return [stored(type_, one) for one in value or ()]


@evaluate.register
def _grouping(expression: Grouping, row: Row) -> Any:  # type: ignore[type-arg]
    return evaluate(expression.element, row)


@evaluate.register
def _label(expression: Label, row: Row) -> Any:  # type: ignore[type-arg]
    return evaluate(expression.element, row)


@evaluate.register
def _several(expression: ClauseList, row: Row) -> tuple[Any, ...]:
    return tuple(evaluate(part, row) for part in expression.clauses)


@evaluate.register
def _list(expression: ExpressionClauseList, row: Row) -> Any:  # type: ignore[type-arg]
    combine = CALCULATIONS.get(expression.operator)
    if combine is None:
        raise NotFaked(written(expression))
    return reduce(combine, [evaluate(part, row) for part in expression.clauses])


@evaluate.register
def _logic(expression: BooleanClauseList, row: Row) -> bool | None:
    # Evaluate every part: an unsupported one must raise whatever the rows are.
    return LOGIC[expression.operator]([evaluate(part, row) for part in expression.clauses])


@evaluate.register
def _unary(expression: UnaryExpression, row: Row) -> Any:  # type: ignore[type-arg]
    apply = UNARY.get(expression.operator) if expression.modifier is None else None
    if apply is None:
        raise NotFaked(written(expression))
    return apply(evaluate(expression.element, row))


@evaluate.register
def _binary(expression: BinaryExpression, row: Row) -> Any:  # type: ignore[type-arg]
    operator, modifiers = expression.operator, dict(expression.modifiers)
    if modifiers.get("symmetric"):
        raise NotFaked(written(expression))
    left = evaluate(expression.left, row)
    if operator in {operators.between_op, operators.not_between_op}:
        low, high = (evaluate(end, row) for end in expression.right.clauses)
        return between(left, low, high, negated=operator is operators.not_between_op)
    if operator in {operators.in_op, operators.not_in_op}:
        return in_(left, evaluate(expression.right, row), negated=operator is operators.not_in_op)
    compare = COMPARISONS.get(operator)
    if compare is None:
        raise NotFaked(written(expression))
    return compare(left, evaluate(expression.right, row), modifiers.get("escape"))

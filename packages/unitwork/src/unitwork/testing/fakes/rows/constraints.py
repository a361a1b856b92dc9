"""Constraints: check a row against its table, in a database's order. Errors are PostgreSQL's."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final

from sqlalchemy import CheckConstraint, Column, Index, Table, UniqueConstraint

from unitwork.errors import CheckViolation, NotNullViolation
from unitwork.testing.fakes.rows.row_sql import UNKNOWABLE, RowSql
from unitwork.testing.fakes.rows.values import Values

NOT_NULL, UNIQUE, FOREIGN_KEY, CHECK = "23502", "23505", "23503", "23514"
"""SQLSTATEs of violations, the same for every kind of database the fake replaces."""


class Unique:
    """A unique key. Rows with NULL in the key never conflict."""

    def __init__(self, table: Table, name: Any, keys: Iterable[Any], *, where: Any = None) -> None:
        keys = tuple(keys)
        self.name: Final = None if name is None else str(name)
        self.columns: Final = tuple(key.name for key in keys if isinstance(key, Column))
        self._keys = tuple(key.key if isinstance(key, Column) else RowSql(table, key) for key in keys)
        self._where = None if where is None else RowSql(table, where)

    def key(self, values: Values) -> tuple[Any, ...] | None:
        """Return the values that must be unique; None if the constraint doesn't apply to the row, or its SQL can't be
        evaluated here.
        """
        if self._where is not None and self._where(values) in {UNKNOWABLE, None, False}:
            return None
        key = tuple(values[part] if isinstance(part, str) else part(values) for part in self._keys)
        return None if any(part is None or part is UNKNOWABLE for part in key) else key


@cache
def unique_keys(table: Table) -> tuple[Unique, ...]:
    """Return the primary key, unique constraints and unique indexes of a table."""
    return tuple(_unique_keys(table))


def _unique_keys(table: Table) -> Iterator[Unique]:
    yield Unique(table, table.primary_key.name, table.primary_key.columns)
    constraints = [one for one in table.constraints if isinstance(one, UniqueConstraint)]
    for constraint in sorted(constraints, key=lambda one: str(one.name)):
        yield Unique(table, constraint.name, constraint.columns)
    for index in sorted(table.indexes, key=lambda one: str(one.name)):
        if index.unique:
            yield Unique(table, index.name, index.expressions, where=_where(index))


def _where(index: Index) -> Any:
    clauses = (index.dialect_options[name].get("where") for name in ("postgresql", "sqlite"))
    return next((clause for clause in clauses if clause is not None), None)


def check_row(table: Table, values: Values) -> None:
    """Raise `NotNullViolation` or `CheckViolation`. A CHECK whose SQL can't be evaluated here is not checked."""
    for column in table.columns:
        if values[column.key] is None and not column.nullable:
            raise NotNullViolation(columns=(column.name,), sqlstate=NOT_NULL)
    for name, check in _checks(table):
        if check(values) == 0:  # false; unknown passes, as in a database
            raise CheckViolation(constraint=name, sqlstate=CHECK)


@cache
def _checks(table: Table) -> tuple[tuple[str | None, RowSql], ...]:
    checks = [one for one in table.constraints if isinstance(one, CheckConstraint)]
    return tuple(
        (None if one.name is None else str(one.name), RowSql(table, one.sqltext))
        for one in sorted(checks, key=lambda one: str(one.name))
    )

"""Autocommit writes: a builder's UPDATE or DELETE outside a transaction, cached by shape.

They use the table instead of the model: without a session there are no loaded models to synchronize.
"""

from functools import cache, lru_cache
from types import SimpleNamespace
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, delete, inspect, update
from sqlalchemy.sql.dml import Delete, Update

from unitwork.dao.builders.conditions import conditions_of, named
from unitwork.dao.statements.comparison import Shape
from unitwork.dao.statements.selection import MAX_CACHED_STATEMENTS
from unitwork.rows.columns import column_keys, soft_deletable
from unitwork.rows.instances import InstancePlan


class WriteShape(NamedTuple):
    """The parts of a write that make up its SQL, without values."""

    model: type[Any]
    dialect: str
    conditions: tuple[Shape, ...]
    include_deleted: bool
    changes: tuple[tuple[str, bool], ...] | None
    """The attributes to set, each with True if its value is added; None for a DELETE. Values are the parameters `v0`,
    `v1` and so on.
    """
    returning: bool


class AutocommitChanges(NamedTuple):
    """The changes of a write: those of `WriteShape.changes`, and their values."""

    columns: tuple[tuple[str, bool], ...] | None
    values: list[Any]


class AutocommitWrite(NamedTuple):
    """A write to send without a session, and the plan that makes models of the rows it returns."""

    statement: Update | Delete
    parameters: dict[str, Any]
    plan: InstancePlan


@lru_cache(maxsize=MAX_CACHED_STATEMENTS)
def autocommit_write(shape: WriteShape) -> Update | Delete:
    """Return the statement of this shape, without values. It returns the columns in the order of the mapping."""
    hashable: Any = shape.model
    columns = _columns(hashable)
    table: Any = inspect(shape.model).local_table
    criteria = conditions_of(shape.conditions, columns, shape.dialect)
    if not shape.include_deleted and soft_deletable(shape.model):
        criteria.append(columns.deleted_at.is_(None))
    statement: Update | Delete
    if shape.changes is None:
        statement = delete(table).where(*criteria)
    else:
        changes = {}
        for place, (key, adds) in enumerate(shape.changes):
            column = getattr(columns, key)
            value: BindParameter[Any] = named(f"v{place}")(column.type)
            changes[column] = column + value if adds else value
        statement = update(table).where(*criteria).values(changes)
    if shape.returning:
        statement = statement.returning(*(getattr(columns, key) for key in column_keys(shape.model)))
    return statement


@cache
def _columns(model: type[Any]) -> Any:
    """Return the table's columns by attribute name."""
    return SimpleNamespace(**{key: attribute.columns[0] for key, attribute in inspect(model).column_attrs.items()})

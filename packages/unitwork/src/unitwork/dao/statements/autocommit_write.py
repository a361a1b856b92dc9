"""Autocommit writes: the UPDATE or DELETE of a builder outside a transaction, one for all builders of a shape.

They are over the table, and not the model: there is no session whose models would have to be kept in step.
"""

from functools import cache, lru_cache
from types import SimpleNamespace
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, delete, inspect, update
from sqlalchemy.sql.dml import Delete, Update

from unitwork.dao.builders.conditions import conditions_of, named
from unitwork.dao.statements.columns import column_keys, soft_deletable
from unitwork.dao.statements.comparison import Shape
from unitwork.dao.statements.instances import InstancePlan
from unitwork.dao.statements.selection import KEPT


class WriteShape(NamedTuple):
    """All of a write but its values."""

    model: type[Any]
    dialect: str
    conditions: tuple[Shape, ...]
    include_deleted: bool
    changes: tuple[tuple[str, bool], ...] | None
    """The attributes that are set, and whether by adding to them; None for a DELETE. Their values are the parameters
    `v0`, `v1` and so on."""
    returning: bool


class AutocommitChanges(NamedTuple):
    """What a write sets: as `WriteShape.changes`, and the values."""

    said: tuple[tuple[str, bool], ...] | None
    values: list[Any]


class AutocommitWrite(NamedTuple):
    """A write that is sent without a session: and what makes models of the rows it returns."""

    statement: Update | Delete
    parameters: dict[str, Any]
    plan: InstancePlan


@lru_cache(maxsize=KEPT)
def autocommit_write(shape: WriteShape) -> Update | Delete:
    """The statement of this shape, without values. It returns the columns in the order of the mapping."""
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
    """The table's columns by the names of the model's attributes."""
    return SimpleNamespace(**{key: attribute.columns[0] for key, attribute in inspect(model).column_attrs.items()})

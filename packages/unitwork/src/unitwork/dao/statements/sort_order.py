"""Sort order: the columns that rows are sorted by, and conditions for the rows beyond a given one.

NULL comes last in both directions. The primary key is always the last column, so that the order is total.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, Final, Self

from sqlalchemy import ColumnElement, UnaryExpression, and_, false, inspect, or_, tuple_
from sqlalchemy import Enum as EnumType
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql import operators

from unitwork.rows.columns import column

SortColumn = str | InstrumentedAttribute[Any] | UnaryExpression[Any]
"""A column to sort by, as callers give it: `"email"`, `"-email"`, `User.email`, `User.email.desc()`."""
COMPARES_ROWS: Final = frozenset({"postgresql", "sqlite", None})
"""Dialects that answer a row-value comparison by an index range scan."""


@dataclass(frozen=True)
class SortKey:
    """One column of a sort order."""

    attribute: Any
    descending: bool

    @classmethod
    def parse(cls, model: type[Any], sorted_by: SortColumn) -> Self:
        """Parse a sort column. Raises `UnknownColumn`, with a suggestion; TypeError for anything but a column."""
        if isinstance(sorted_by, str):
            return cls(column(model, sorted_by.removeprefix("-")), sorted_by.startswith("-"))
        if isinstance(sorted_by, InstrumentedAttribute):
            return cls(column(model, sorted_by), descending=False)
        directions = {operators.asc_op: False, operators.desc_op: True}
        table_column = inspect(model).local_table.columns.get(getattr(sorted_by.element, "key", ""))
        if sorted_by.modifier not in directions or table_column is None:
            msg = "rows are ordered by columns of their model; for any other order take .statement.order_by(...)"
            raise TypeError(msg)
        attribute = inspect(model).get_property_by_column(table_column).class_attribute
        return cls(attribute, directions[sorted_by.modifier])

    @property
    def name(self) -> str:
        return ("-" if self.descending else "") + str(self.attribute.key)

    @property
    def type(self) -> Any:
        """The column's type, kept because an attribute looks it up at each access."""
        return _type(self.attribute.class_, self.attribute.key)

    @property
    def nullable(self) -> bool:
        return bool(self.attribute.property.columns[0].nullable)

    def order(self, entity: Any, *, backward: bool) -> list[ColumnElement[Any]]:
        attribute = getattr(entity, self.attribute.key)
        direction = attribute.desc() if self.descending is not backward else attribute.asc()
        if not self.nullable:
            return [direction]
        absent = attribute.is_(None)
        return [absent.desc() if backward else absent, direction]

    def beyond(self, entity: Any, value: Any, *, backward: bool) -> ColumnElement[bool]:
        """Return SQL for rows after this value in this column; `backward`, before it."""
        attribute = getattr(entity, self.attribute.key)
        if value is None:
            found: ColumnElement[bool] = attribute.is_not(None) if backward else false()
            return found
        found = attribute < value if self.descending is not backward else attribute > value
        return or_(found, attribute.is_(None)) if self.nullable and not backward else found

    def reached(self, entity: Any, value: Any, *, backward: bool) -> ColumnElement[bool]:
        """Return SQL for rows with this value in this column or after it. The value must not be NULL."""
        attribute = getattr(entity, self.attribute.key)
        found: ColumnElement[bool] = attribute <= value if self.descending is not backward else attribute >= value
        return found

    def level(self, entity: Any, value: Any) -> ColumnElement[bool]:
        """Return SQL for rows with exactly this value, or NULL."""
        attribute = getattr(entity, self.attribute.key)
        same: ColumnElement[bool] = attribute.is_(None) if value is None else attribute == value
        return same


Order = tuple[SortKey, ...]


def total_order(model: type[Any], order: Sequence[SortColumn]) -> Order:
    """Return the order with the primary key appended, so that no two rows compare equal."""
    keys = [SortKey.parse(model, sorted_by) for sorted_by in order]
    names = {key.attribute.key for key in keys}
    descending = keys[-1].descending if keys else False
    for primary in inspect(model).primary_key:
        attribute = inspect(model).get_property_by_column(primary).class_attribute
        if attribute.key not in names:
            keys.append(SortKey(attribute, descending))
    return tuple(keys)


def order_by(keys: Order, entity: Any, *, backward: bool = False) -> list[ColumnElement[Any]]:
    """Return the ORDER BY expressions; `backward` reverses them."""
    return [part for key in keys for part in key.order(entity, backward=backward)]


def beyond_row(
    keys: Order,
    values: Sequence[Any],
    entity: Any,
    *,
    backward: bool = False,
    inclusive: bool = False,
    dialect: str | None = None,
) -> ColumnElement[bool]:
    """Return SQL for rows after the one with these sort values (`backward`: before it); `inclusive`: that row too.

    A value is the expression to compare the column with, or None for NULL.
    """
    if dialect in COMPARES_ROWS and len({key.descending for key in keys}) == 1 and not any(k.nullable for k in keys):
        # A single row-value comparison: an index over the same columns answers it as a range.
        attributes = [getattr(entity, key.attribute.key) for key in keys]
        row = tuple_(*attributes)
        bound = tuple_(*values, types=[attribute.type for attribute in attributes])
        if keys[0].descending is not backward:
            return row <= bound if inclusive else row < bound
        return row >= bound if inclusive else row > bound
    level = [key.level(entity, value) for key, value in zip(keys, values, strict=True)]
    beyond = [key.beyond(entity, value, backward=backward) for key, value in zip(keys, values, strict=True)]
    found = [and_(*level[:place], step) for place, step in enumerate(beyond)]
    if inclusive:
        found.append(and_(*level))
    if keys[0].nullable or len(keys) == 1:
        return or_(*found)
    # The redundant first condition gives the database an index range; it can't derive one from the OR.
    return and_(keys[0].reached(entity, values[0], backward=backward), or_(*found))


def sort_values(keys: Order, row: Any) -> list[Any]:
    """Return the row's values of the sort columns."""
    return [getattr(row, key.attribute.key) for key in keys]


def written_values(keys: Order, values: Sequence[Any]) -> list[Any]:
    """Convert sort values to what a cursor can store as JSON."""
    return [_written(key.type, value) for key, value in zip(keys, values, strict=True)]


def read_values(keys: Order, values: Sequence[Any]) -> list[Any]:
    """Convert a cursor's values back to the columns' types. Raises `ValueError` or `LookupError` if they don't fit."""
    return [_read(key.type, value) for key, value in zip(keys, values, strict=True)]


@cache
def _type(model: Hashable, name: str) -> Any:
    return getattr(model, name).type


def _written(type_: Any, value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name if isinstance(type_, EnumType) else value.value
    return value


def _read(type_: Any, value: Any) -> Any:
    if isinstance(type_, EnumType) and type_.enum_class is not None and value is not None:
        return type_.enum_class[value]
    return value

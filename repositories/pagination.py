"""Keyset pagination: the next page begins after a row, not after a count of rows.

Rows that come or go while somebody turns pages are neither repeated nor skipped. NULL comes last, either way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, Self, TypeVar

from sqlalchemy import ColumnElement, and_, false, inspect, or_, tuple_

from repositories.columns import column

T = TypeVar("T")


@dataclass(frozen=True)
class Slice(Generic[T]):
    """Rows in order. `next_cursor` is None on the last page."""

    items: Sequence[T]
    next_cursor: str | None

    @property
    def has_more(self) -> bool:
        """Whether a page follows."""
        return self.next_cursor is not None


@dataclass(frozen=True)
class SortKey:
    """One column of an order, from `"name"` or, descending, `"-name"`."""

    attribute: Any
    descending: bool

    @classmethod
    def parse(cls, model: type[Any], text: str) -> Self:
        """Raises `UnknownColumn`, with a suggestion."""
        return cls(column(model, text.removeprefix("-")), text.startswith("-"))

    @property
    def name(self) -> str:
        return ("-" if self.descending else "") + str(self.attribute.key)

    @property
    def nullable(self) -> bool:
        return bool(self.attribute.property.columns[0].nullable)

    def order(self) -> list[ColumnElement[Any]]:
        direction = self.attribute.desc() if self.descending else self.attribute.asc()
        return [self.attribute.is_(None), direction] if self.nullable else [direction]

    def beyond(self, value: Any) -> ColumnElement[bool]:
        """Rows that come after this value in this column."""
        if value is None:
            return false()
        after = self.attribute < value if self.descending else self.attribute > value
        return or_(after, self.attribute.is_(None)) if self.nullable else after

    def level(self, value: Any) -> ColumnElement[bool]:
        """Rows with this very value."""
        same: ColumnElement[bool] = self.attribute.is_(None) if value is None else self.attribute == value
        return same


def total_order(model: type[Any], order: Sequence[str]) -> tuple[SortKey, ...]:
    """The order with the primary key as last resort, so that no two rows are level."""
    keys = [SortKey.parse(model, text) for text in order]
    names = {key.attribute.key for key in keys}
    descending = keys[-1].descending if keys else False
    for primary in inspect(model).primary_key:
        attribute = inspect(model).get_property_by_column(primary).class_attribute
        if attribute.key not in names:
            keys.append(SortKey(attribute, descending))
    return tuple(keys)


def after_row(keys: Sequence[SortKey], values: Sequence[Any]) -> ColumnElement[bool]:
    """Rows that come after the one with these sort values."""
    if len({key.descending for key in keys}) == 1 and not any(key.nullable for key in keys):
        # One comparison of rows, which an index over the same columns answers as a range.
        row = tuple_(*(key.attribute for key in keys))
        bound = tuple_(*values, types=[key.attribute.type for key in keys])
        return row < bound if keys[0].descending else row > bound
    alternatives = [
        and_(*(key.level(value) for key, value in zip(keys[:place], values, strict=False)), keys[place].beyond(value))
        for place, value in enumerate(values)
    ]
    return or_(*alternatives)


def sort_values(keys: Sequence[SortKey], row: Any) -> list[Any]:
    """The row's sort values, as a cursor can hold them."""
    values = [getattr(row, key.attribute.key) for key in keys]
    return [value.value if isinstance(value, Enum) else value for value in values]

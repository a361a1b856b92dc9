"""Stored values: convert values as a database would, to the stored form and back.

Memory has its own dialect, so that a column's type converts values as it does for a driver: an enum is stored as text,
a moment as naive UTC. Comparisons and sorting use stored values.
"""

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any, Final

from sqlalchemy import DateTime, Float, Numeric, TypeDecorator
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.types import TypeEngine

Values = Mapping[str, Any]
"""A row's stored values by column key. Immutable: a change replaces the row."""


class MemoryDialect(DefaultDialect):
    """The dialect for types that depend on the database."""

    name = "memory"
    driver = "memory"
    supports_native_boolean = True
    supports_native_decimal = True
    supports_native_uuid = True


MEMORY: Final = MemoryDialect()
_EXACT: Final = Context(prec=2_000)
"""A precision that exceeds any database's."""


def stored(type_: TypeEngine[Any], value: Any) -> Any:
    """Return the stored form of a model's value or a parameter. Raises what the type raises for an invalid value."""
    process = type_.dialect_impl(MEMORY).bind_processor(MEMORY)
    if process is None:
        return fitted(type_, _own(value))
    try:
        return fitted(type_, process(value))
    except LookupError as error:  # its message repeats the value
        error.args = ("a value is none of its column's choices",)
        raise


def fitted(type_: TypeEngine[Any], value: Any) -> Any:
    """Return a value as a column of this type stores it: rounded to its scale, or in UTC."""
    if isinstance(value, datetime):
        of_zone = value.tzinfo is not None and isinstance(_resolved(type_), DateTime)
        return value.astimezone(UTC) if of_zone else value
    if not isinstance(value, Decimal | int | float):
        return value
    resolved = _resolved(type_)
    if not isinstance(resolved, Numeric) or isinstance(resolved, Float):
        return value
    number = Decimal(value)
    if resolved.scale is None or not number.is_finite():
        return number
    return number.quantize(Decimal(1).scaleb(-resolved.scale), rounding=ROUND_HALF_UP, context=_EXACT)


def wrapped_in_sql(type_: TypeEngine[Any]) -> bool:
    """True if the type wraps each value in a SQL expression."""
    type_ = _resolved(type_)
    named = type_._variant_mapping.get("postgresql", type_)  # noqa: SLF001 - a variant has no public name; test_same_in_memory pins it
    return any(one._has_bind_expression or one._has_column_expression for one in (type_, named))  # noqa: SLF001 - as SQLAlchemy's compiler does


def _resolved(type_: Any) -> Any:
    """Return the type that a type decorator wraps."""
    type_ = type_.dialect_impl(MEMORY)
    while isinstance(type_, TypeDecorator) and not (type_._has_bind_expression or type_._has_column_expression):  # noqa: SLF001 - as above
        type_ = type_.impl_instance
    return type_


def loaded(type_: TypeEngine[Any], value: Any) -> Any:
    """Return the model's form of a stored value."""
    process = type_.dialect_impl(MEMORY).result_processor(MEMORY, None)
    return _own(value) if process is None else process(value)


def _own(value: Any) -> Any:
    """Copy a mutable value: the store and a model must not share it."""
    return copy.deepcopy(value) if isinstance(value, dict | list | set | bytearray) else value

"""Stored values: what a column keeps, as a database would, and what a model gets back.

Memory has a dialect of its own, so that a column's type converts both ways as it does for a driver: an enum is kept
as its text, a moment as naive UTC. What is compared and ordered are stored values.
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
"""A row's stored values by column key. Never changed: a new row takes its place."""


class MemoryDialect(DefaultDialect):
    """What is asked when a type depends on its database."""

    name = "memory"
    driver = "memory"
    supports_native_boolean = True
    supports_native_decimal = True
    supports_native_uuid = True


MEMORY: Final = MemoryDialect()
_EXACT: Final = Context(prec=2_000)
"""More digits than a database has."""


def stored(type_: TypeEngine[Any], value: Any) -> Any:
    """A model's value, or a parameter, as it is kept. Raises what the type raises for a value it can't take."""
    process = type_.dialect_impl(MEMORY).bind_processor(MEMORY)
    if process is None:
        return fitted(type_, _own(value))
    try:
        return fitted(type_, process(value))
    except LookupError as error:  # it repeats the value
        error.args = ("a value is none of its column's choices",)
        raise


def fitted(type_: TypeEngine[Any], value: Any) -> Any:
    """A value as a column of this type has it: rounded to its scale, or in UTC."""
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
    """Whether the database is to do something with each value of the type."""
    type_ = _resolved(type_)
    named = type_._variant_mapping.get("postgresql", type_)  # noqa: SLF001 - a variant has no public name; test_same_in_memory pins it
    return any(one._has_bind_expression or one._has_column_expression for one in (type_, named))  # noqa: SLF001 - as SQLAlchemy's compiler asks


def _resolved(type_: Any) -> Any:
    """The type inside what decorates it."""
    type_ = type_.dialect_impl(MEMORY)
    while isinstance(type_, TypeDecorator) and not (type_._has_bind_expression or type_._has_column_expression):  # noqa: SLF001 - as above
        type_ = type_.impl_instance
    return type_


def loaded(type_: TypeEngine[Any], value: Any) -> Any:
    """What is kept, as the model has it."""
    process = type_.dialect_impl(MEMORY).result_processor(MEMORY, None)
    return _own(value) if process is None else process(value)


def _own(value: Any) -> Any:
    """The store and a model never share what can be changed."""
    return copy.deepcopy(value) if isinstance(value, dict | list | set | bytearray) else value

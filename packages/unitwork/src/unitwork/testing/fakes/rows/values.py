"""Stored values: what a column keeps, as a database would, and what a model gets back.

Memory has a dialect of its own, so that a column's type converts both ways as it does for a driver: an enum is kept
as its text, a moment as naive UTC. What is compared and ordered are stored values.
"""

import copy
from collections.abc import Mapping
from typing import Any, Final

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


def stored(type_: TypeEngine[Any], value: Any) -> Any:
    """A model's value, or a parameter, as it is kept. Raises what the type raises for a value it can't take."""
    process = type_.dialect_impl(MEMORY).bind_processor(MEMORY)
    if process is None:
        return _own(value)
    try:
        return process(value)
    except LookupError as error:  # it repeats the value
        error.args = ("a value is none of its column's choices",)
        raise


def loaded(type_: TypeEngine[Any], value: Any) -> Any:
    """What is kept, as the model has it."""
    process = type_.dialect_impl(MEMORY).result_processor(MEMORY, None)
    return _own(value) if process is None else process(value)


def _own(value: Any) -> Any:
    """The store and a model never share what can be changed."""
    return copy.deepcopy(value) if isinstance(value, dict | list | set | bytearray) else value

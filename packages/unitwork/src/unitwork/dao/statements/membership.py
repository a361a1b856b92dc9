"""Membership: test a column against a list of values of any length, as one parameter if the database supports it.

One parameter for each value hits driver limits (32,767 on asyncpg), and makes each length a different statement.
"""

import json
from collections.abc import Callable
from typing import Any, Final, Protocol

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Dialect,
    Enum,
    Float,
    LargeBinary,
    Numeric,
    String,
    Text,
    all_,
    any_,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeDecorator, TypeEngine

POSTGRESQL: Final = "postgresql"
SQLITE_LONG_LIST: Final = "sqlite, many values"
"""Dialect name for lists that may exceed SQLite's limit of parameters."""
MAX_SQLITE_PARAMETERS: Final = 1_000


class Bind(Protocol):
    """Creates the bind parameter of a comparison's value, with this type."""

    def __call__(self, type_: TypeEngine[Any], *, expanding: bool = False) -> BindParameter[Any]: ...


class JsonList(TypeDecorator[list[Any]]):
    """A column's values as one JSON text, each in SQLite's storage format."""

    impl = Text
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        self.item = item
        super().__init__()

    def process_bind_param(self, value: list[Any] | None, dialect: Dialect) -> str | None:
        process = self.item.dialect_impl(dialect).bind_processor(dialect) or _as_it_is
        return None if value is None else json.dumps([process(one) for one in value])


def member(attribute: Any, bind: Bind, dialect: str | None) -> ColumnElement[bool]:
    """Return SQL that is true if the column is among the values; false for an empty list."""
    if dialect == POSTGRESQL and (array := _array(attribute.type)) is not None:
        return _bool(attribute == any_(bind(array)))
    if dialect == SQLITE_LONG_LIST and _jsonable(attribute.type):
        return _bool(attribute.in_(_each(attribute, bind)))
    return _bool(attribute.in_(bind(attribute.type, expanding=True)))


def not_member(attribute: Any, bind: Bind, dialect: str | None) -> ColumnElement[bool]:
    """Return SQL that is true if the column is none of the values; true for an empty list."""
    if dialect == POSTGRESQL and (array := _array(attribute.type)) is not None:
        return _bool(attribute != all_(bind(array)))
    if dialect == SQLITE_LONG_LIST and _jsonable(attribute.type):
        return _bool(attribute.not_in(_each(attribute, bind)))
    return _bool(attribute.not_in(bind(attribute.type, expanding=True)))


def _each(attribute: Any, bind: Bind) -> Any:
    return select(func.json_each(bind(JsonList(attribute.type))).table_valued("value").c.value)


def _array(type_: TypeEngine[Any]) -> ARRAY[Any] | None:
    """Return the array type for values of this type; None if it has none.

    Text is declared without a length: casting to VARCHAR(n) would truncate a longer text to one that may exist. A type
    decorator over text has none, as its length can't be removed.
    """
    plain: TypeEngine[Any] = type_.impl_instance if isinstance(type_, TypeDecorator) else type_
    if isinstance(plain, String) and not isinstance(plain, Enum):
        return ARRAY(String()) if plain is type_ else None
    return None if isinstance(plain, ARRAY) else ARRAY(type_)


def _jsonable(type_: TypeEngine[Any]) -> bool:
    """True if values of the type survive a JSON round trip exactly."""
    plain: TypeEngine[Any] = type_.impl_instance if isinstance(type_, TypeDecorator) else type_
    return not isinstance(plain, LargeBinary | Numeric | Float)


def _as_it_is(value: Any) -> Any:
    return value


def _bool(condition: Any) -> ColumnElement[bool]:
    result: ColumnElement[bool] = condition
    return result


Membership = Callable[[Any, Bind, str | None], ColumnElement[bool]]

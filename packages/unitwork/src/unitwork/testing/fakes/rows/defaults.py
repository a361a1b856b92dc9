"""Defaults: compute the columns that a write doesn't name, and the values to be stored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, inspect

from unitwork.ids.id_generator import IdGenerator
from unitwork.ids.leased_ids import LeasedIds
from unitwork.models.base import ID_GENERATOR
from unitwork.testing.fakes.errors import NotFaked
from unitwork.testing.fakes.rows.expressions import Row, evaluate, is_expression
from unitwork.testing.fakes.rows.table import StoredTable
from unitwork.testing.fakes.rows.values import Values, fitted, loaded, stored


class DefaultContext:
    """The context passed to column defaults: the id generator, and the values set so far."""

    def __init__(self, id_generator: LeasedIds | IdGenerator, parameters: dict[str, Any]) -> None:
        self.execution_options: Final = {ID_GENERATOR: id_generator}
        self.current_parameters: Final = parameters

    def __getattr__(self, name: str) -> Any:
        raise NotFaked(f"`{name}`, which a default asks of its context,")

    def get_current_parameters(self, isolate_multiinsert_groups: bool = True) -> dict[str, Any]:
        return self.current_parameters


@dataclass(frozen=True)
class Generators:
    """The sources of new ids: the models' generator, and the counters of autoincrementing columns."""

    snowflake: LeasedIds | IdGenerator
    next_number: Callable[[Column[Any]], int]


@dataclass(frozen=True)
class NewRow:
    """A new row: its stored values, and the model's values by attribute.

    The model keeps the values it was given and gets defaults for the rest; an attribute with neither stays unloaded.
    """

    values: Values
    attributes: Mapping[str, Any]


def new_row(table: StoredTable, model: Any, generators: Generators) -> NewRow:
    """Return the row that an INSERT of the model stores. A column that is unset or None gets its default.

    Raises what a default raises (`NoActingUser`), and what a column's type raises.
    """
    present = inspect(model).dict
    for relationship in table.mapper.relationships:
        if present.get(relationship.key):
            raise NotFaked(f"storing {table.model.__name__}.{relationship.key} along with its row")
    given = {key: present.get(name) for key, name in table.attributes.items()}
    if table.version is not None:
        given[table.version] = table.next_version(None)
    context = DefaultContext(generators.snowflake, {key: value for key, value in given.items() if value is not None})
    values: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    for column in table.table.columns:
        key = column.key
        value, name = given.get(key), table.attributes.get(key)
        known = name in present or value is not None
        if value is None and not (column.type.should_evaluate_none and name in present):
            value = _default(column, context, generators)
            known = known or value is not None or column.default is not None
        values[key] = _stored(table, column, value, values)
        if value is not None:
            context.current_parameters[key] = value
        if name is not None and known:
            attributes[name] = loaded(column.type, values[key]) if is_expression(value) else value
    return NewRow(values, attributes)


def update_defaults(table: StoredTable, changes: Mapping[str, Any], generators: Generators) -> dict[str, Any]:
    """Return what an UPDATE sets in addition to its changes (by column key): values and expressions."""
    context = DefaultContext(generators.snowflake, dict(changes))
    defaults: dict[str, Any] = {}
    for column in table.table.columns:
        if column.key in changes:
            continue
        if column.server_onupdate is not None:
            raise NotFaked(f"what the database puts into {column} at an update")
        if column.onupdate is not None:
            defaults[column.key] = _made(column.onupdate, context)
    return defaults


def changed_values(table: StoredTable, before: Values, changes: Mapping[str, Any]) -> Values:
    """Return the row after the changes (by column key); expressions are evaluated on the row before them."""
    after = dict(before)
    for key, value in changes.items():
        after[key] = _stored(table, table.table.columns[key], value, before)
    return after


def _default(column: Column[Any], context: DefaultContext, generators: Generators) -> Any:
    if column.default is not None:
        return _made(column.default, context)
    if column is column.table.autoincrement_column:
        return generators.next_number(column)
    if column.server_default is not None:
        raise NotFaked(f"the server default of {column}")
    return None


def _made(default: Any, context: DefaultContext) -> Any:
    if default.is_sequence:
        raise NotFaked(f"the sequence {default.name}")
    return default.arg(context) if default.is_callable else default.arg


def _stored(table: StoredTable, column: Column[Any], value: Any, before: Values) -> Any:
    if is_expression(value):
        return fitted(column.type, evaluate(value, Row(table.table, before)))
    return stored(column.type, value)

"""StoredTable: one model's table as memory keeps it, and the way from its values to a model."""

from typing import Any, Final

from sqlalchemy import Column, Table, inspect
from sqlalchemy.orm import Mapper, make_transient_to_detached
from sqlalchemy.orm.attributes import instance_state, set_committed_value
from sqlalchemy.orm.path_registry import PathRegistry
from sqlalchemy.orm.util import identity_key

from unitwork.testing.fakes.errors import NotFaked
from unitwork.testing.fakes.rows.expressions import Row, evaluate
from unitwork.testing.fakes.rows.values import Values, loaded, wrapped_in_sql

OF_A_QUERY: Final = (("query_expression", True),)
"""How SQLAlchemy calls an attribute that has a value only where a query gives it one."""

Identity = tuple[Any, ...]
"""The stored values of a row's primary key."""


class StoredTable:
    """Raises `NotFaked` for a model whose rows aren't one row of one table."""

    def __init__(self, model: type[Any]) -> None:
        mapper: Mapper[Any] = inspect(model)
        if not isinstance(mapper.local_table, Table) or mapper.inherits or mapper.polymorphic_on is not None:
            raise NotFaked(f"{model.__name__}, which shares its table or has more than one,")
        if mapper.version_id_col is not None and not mapper.version_id_generator:
            raise NotFaked(f"the version of {model.__name__}, which the database counts,")
        if set(mapper.primary_key) != set(mapper.local_table.primary_key.columns):
            raise NotFaked(f"the key of {model.__name__}, which is not its table's,")
        for column in mapper.local_table.columns:
            if wrapped_in_sql(column.type):
                raise NotFaked(f"the SQL around each value of {model.__name__}'s {column.key}")
        self.model: Final = model
        self.mapper: Final = mapper
        self.table: Final = mapper.local_table
        mapped = {attribute.columns[0]: attribute.key for attribute in mapper.column_attrs}
        self.attributes: Final = {column.key: mapped[column] for column in self.table.columns if column in mapped}
        """Attribute by column key."""
        self.columns: Final = {self.attributes[key]: self.table.columns[key] for key in self.attributes}
        """Column by attribute."""
        self.primary: Final = tuple(str(column.key) for column in mapper.primary_key)
        self.version: Final = None if mapper.version_id_col is None else str(mapper.version_id_col.key)
        """The column that counts the row's changes."""
        self.unasked: Final = frozenset(
            one.key for one in mapper.column_attrs if one.deferred or one.strategy_key == OF_A_QUERY
        )
        """Attributes that a row is read without: deferred columns, and places for expressions of a query."""
        self._calculated: Final = {
            name: sql for sql, name in mapped.items() if not isinstance(sql, Column) and name not in self.unasked
        }

    def identity(self, values: Values) -> Identity:
        """What the row is found by."""
        return tuple(values[key] for key in self.primary)

    def identity_key(self, values: Values) -> Any:
        """What a session knows the row's model by."""
        columns = self.table.columns
        return identity_key(self.model, tuple(loaded(columns[key].type, values[key]) for key in self.primary))

    def attribute_values(self, values: Values) -> dict[str, Any]:
        """The model's values by attribute."""
        row = Row(self.table, values)
        found = {name: loaded(column.type, values[column.key]) for name, column in self.columns.items()}
        return found | {name: loaded(sql.type, evaluate(sql, row)) for name, sql in self._calculated.items()}

    def new_model(self, values: Values) -> Any:
        """A model with these values, transient."""
        row = self.mapper.class_manager.new_instance()
        state = instance_state(row)
        for name, value in self.attribute_values(values).items():
            if name not in self.unasked:
                set_committed_value(row, name, value)
        state.load_path = PathRegistry.coerce((self.mapper,))
        self.mapper.class_manager.dispatch.load(state, None)  # composites, mutable values, reconstructors
        return row

    def flushed(self, row: Any) -> None:
        """A flush has changed what composites, and expressions of the mapping, are made of."""
        known = instance_state(row).dict
        for composed in self.mapper.composites:
            known.pop(composed.key, None)  # made anew when it is looked at
        self.expire_calculated(row)

    def expire_calculated(self, row: Any) -> None:
        """A statement has given the columns of the table alone."""
        state = instance_state(row)
        gone = [name for name in self._calculated if self.mapper.attrs[name].expire_on_flush]
        state._expire_attributes(state.dict, state.unmodified_intersection(gone))  # noqa: SLF001 - what SQLAlchemy's flush does with them

    def next_version(self, version: int | None) -> Any:
        """What follows a version; the first one for None."""
        generator: Any = self.mapper.version_id_generator
        return generator(version)


def as_stored(row: Any) -> None:
    """Make a transient model a detached one, with nothing pending; what isn't loaded stays that way."""
    state = instance_state(row)
    expired = set(state.expired_attributes)
    make_transient_to_detached(row)
    state.expired_attributes.intersection_update(expired)

"""StoredTable: one model's table in memory, and the conversion of its rows to models."""

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
"""SQLAlchemy's strategy key of a `query_expression` attribute, which has a value only if a query sets one."""

Identity = tuple[Any, ...]
"""The stored values of a row's primary key."""


class StoredTable:
    """A model's table. Raises `NotFaked` for a model that isn't stored as one row of one table."""

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
        """Attribute name by column key."""
        self.columns: Final = {self.attributes[key]: self.table.columns[key] for key in self.attributes}
        """Column by attribute name."""
        self.primary: Final = tuple(str(column.key) for column in mapper.primary_key)
        self.version: Final = None if mapper.version_id_col is None else str(mapper.version_id_col.key)
        """Key of the version column; None without one."""
        self.unasked: Final = frozenset(
            one.key for one in mapper.column_attrs if one.deferred or one.strategy_key == OF_A_QUERY
        )
        """Attributes that are not loaded with a row: deferred columns and query expressions."""
        self._calculated: Final = {
            name: sql for sql, name in mapped.items() if not isinstance(sql, Column) and name not in self.unasked
        }

    def identity(self, values: Values) -> Identity:
        """Return the primary key of the row."""
        return tuple(values[key] for key in self.primary)

    def identity_key(self, values: Values) -> Any:
        """Return SQLAlchemy's identity key of the row's model."""
        columns = self.table.columns
        return identity_key(self.model, tuple(loaded(columns[key].type, values[key]) for key in self.primary))

    def attribute_values(self, values: Values) -> dict[str, Any]:
        """Return the model's values by attribute."""
        row = Row(self.table, values)
        found = {name: loaded(column.type, values[column.key]) for name, column in self.columns.items()}
        return found | {name: loaded(sql.type, evaluate(sql, row)) for name, sql in self._calculated.items()}

    def new_model(self, values: Values) -> Any:
        """Return a transient model with these values."""
        row = self.mapper.class_manager.new_instance()
        state = instance_state(row)
        for name, value in self.attribute_values(values).items():
            if name not in self.unasked:
                set_committed_value(row, name, value)
        state.load_path = PathRegistry.coerce((self.mapper,))
        self.mapper.class_manager.dispatch.load(state, None)  # sets up composites and mutable values
        return row

    def flushed(self, row: Any) -> None:
        """Reset composites and mapped SQL expressions after a flush."""
        known = instance_state(row).dict
        for composed in self.mapper.composites:
            known.pop(composed.key, None)  # recomputed on the next access
        self.expire_calculated(row)

    def expire_calculated(self, row: Any) -> None:
        """Expire the attributes that are mapped SQL expressions: a statement returned only the table's columns."""
        state = instance_state(row)
        gone = [name for name in self._calculated if self.mapper.attrs[name].expire_on_flush]
        state._expire_attributes(state.dict, state.unmodified_intersection(gone))  # noqa: SLF001 - as SQLAlchemy's flush does

    def next_version(self, version: int | None) -> Any:
        """Return the version after this one; the first one for None."""
        generator: Any = self.mapper.version_id_generator
        return generator(version)


def as_stored(row: Any) -> None:
    """Make a transient model detached, without pending changes; unloaded attributes stay unloaded."""
    state = instance_state(row)
    expired = set(state.expired_attributes)
    make_transient_to_detached(row)
    state.expired_attributes.intersection_update(expired)

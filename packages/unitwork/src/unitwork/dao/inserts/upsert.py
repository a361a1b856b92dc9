"""Upsert: insert rows, or update the rows that have their key already."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, islice
from typing import Any, Final

from sqlalchemy import ColumnElement, Index, Table, UniqueConstraint, case, inspect, literal_column, or_, select, tuple_
from sqlalchemy.dialects.mysql import insert as mysql_insert
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstanceState, Mapper

from unitwork.backends.registry import backend_named
from unitwork.dao.inserts.bulk_insert import refuse_where_reading
from unitwork.dao.inserts.copied_rows import CHUNK_ROWS
from unitwork.dao.statements.selection import primary_key
from unitwork.errors import DriverError, NotSupported, UniqueViolation
from unitwork.errors.query import NoSuchKey
from unitwork.models.derived_columns import with_keys
from unitwork.models.soft_delete import INCLUDE_DELETED
from unitwork.rows.columns import ColumnName, column
from unitwork.rows.new_rows import NewRows, Values
from unitwork.sessions.restoring import remember
from unitwork.sessions.write_recorder import recorded

STAMPS: Final = ("updated_at", "updated_by")
PRESERVED_COLUMNS: Final = frozenset({"version", "created_at", "created_by", *STAMPS})
"""Columns besides the primary key that an existing row doesn't take from its new values."""
_AMBIGUOUS: Final = "21000"
"""SQLSTATE of a subquery that returns two rows; the MariaDB statement uses it to refuse a row."""


class Upsert:
    """Upserts rows of one model through one session, in its transaction.

    An existing row keeps its id, creation stamps and deletion; its version increments and its update stamps are
    renewed.
    """

    def __init__(
        self,
        session: AsyncSession,
        model: type[Any],
        *,
        on: ColumnName | Sequence[ColumnName],
        update: Iterable[ColumnName] | None,
    ) -> None:
        self._session = session
        self._model = model
        self._rows = NewRows(model, session.sync_session.execution_options)
        self._on = key_names(model, on)
        named = None if update is None else (column(model, name).key for name in update)
        self._update = None if named is None else with_keys(model, named)
        self._dialect = ""

    async def store(self, rows: Iterable[Any]) -> int:
        """Store the rows and return their number. Raises `NoSuchKey`, `ConstraintViolation`, `UnknownColumn`."""
        await refuse_where_reading(self._session, self._rows)
        await self._session.flush()
        self._dialect = (await self._session.connection()).dialect.name
        if self._mapper.inherits is not None and not self._mapper.single:
            what, instead = (
                "upsert of rows of several tables",
                "Look the rows up by their key; change them, or add them.",
            )
            raise NotSupported(what, self._dialect, instead)
        kind = self._kind()
        stored = 0
        remaining = iter(rows)
        while chunk := list(islice(remaining, CHUNK_ROWS)):
            given = [as_mapping(self._model, row) for row in chunk]
            for names, alike in groupby(given, key=lambda row: tuple(sorted(row))):
                await self._store(self._changes(names), [self._rows.of({**kind, **row}) for row in alike])
            stored += len(chunk)
        await self._read_again()
        return stored

    def _changes(self, names: Iterable[str]) -> list[str]:
        """Return the attributes that an existing row takes over."""
        if self._update is not None:
            return list(self._update)
        return changed_names(self._model, with_keys(self._model, names), self._on)

    async def _store(self, changes: Sequence[str], rows: Sequence[Values]) -> None:
        for _, some in groupby(rows, key=lambda row: row.keys()):
            try:
                await self._session.execute(self._statement(changes), list(some))
            except DriverError as error:
                if not backend_named(self._dialect).upserts_by_key and error.sqlstate == _AMBIGUOUS:
                    raise UniqueViolation(sqlstate="23000") from None
                raise
        await recorded(self._session, self._model, len(rows), changed=changes)

    def _statement(self, changes: Sequence[str]) -> Any:
        table = self._rows.table
        keys = [self._column(name) for name in self._on]
        taken = [self._column(name) for name in changes]
        stamps = [self._column(name) for name in STAMPS if name in self._names] if changes else []
        if not backend_named(self._dialect).upserts_by_key:
            return _on_duplicate_key(table, keys, [*taken, *stamps], self._version if changes else None)
        insert = postgresql_insert if self._dialect == "postgresql" else sqlite_insert
        statement: Any = insert(table)
        if not changes:
            return statement.on_conflict_do_nothing(index_elements=keys)
        values: dict[str, Any] = {one.key: statement.excluded[one.key] for one in (*taken, *stamps)}
        if self._version is not None:
            values[self._version.key] = self._version + 1
        return statement.on_conflict_do_update(index_elements=keys, set_=values)

    def _column(self, name: str) -> Any:
        return self._rows.table.columns[self._keys[name]]

    @property
    def _keys(self) -> Mapping[str, str]:
        return {name: key for key, name in self._rows.attributes.items()}

    @property
    def _names(self) -> set[str]:
        return set(self._rows.attributes.values())

    @property
    def _version(self) -> Any:
        return inspect(self._model).version_id_col

    @property
    def _mapper(self) -> Mapper[Any]:
        mapper: Mapper[Any] = inspect(self._model)
        return mapper

    def _kind(self) -> Mapping[str, Any]:
        """Return the discriminator of single-table inheritance, by attribute."""
        mapper = self._mapper
        names = mapper.column_attrs.keys() if mapper.polymorphic_on is not None else []
        on = next((name for name in names if mapper.attrs[name].columns[0] is mapper.polymorphic_on), None)
        return {} if on is None else {on: mapper.polymorphic_identity}

    async def _read_again(self) -> None:
        """Refresh models that the session holds: the upsert bypassed them."""
        remember(self._session, self._model)
        states: list[InstanceState[Any]] = [inspect(row) for row in self._session if isinstance(row, self._model)]
        held = [state.identity for state in states if state.identity]
        key = [getattr(self._model, name) for name in primary_key(self._model)]
        for start in range(0, len(held), CHUNK_ROWS):
            some = held[start : start + CHUNK_ROWS]
            these = key[0].in_([one for (one,) in some]) if len(key) == 1 else tuple_(*key).in_(some)
            options = {"populate_existing": True, INCLUDE_DELETED: True}
            await self._session.execute(select(self._model).where(these), execution_options=options)


def as_mapping(model: type[Any], row: Any) -> Mapping[str, Any]:
    """Return the values of one row, a model or a mapping. Raises TypeError for anything else."""
    if isinstance(row, model):
        columns = inspect(model).column_attrs.keys()
        return {name: value for name, value in inspect(row).dict.items() if name in columns}
    if isinstance(row, Mapping):
        return row
    msg = f"a {type(row).__name__} is no row of {model.__name__}: give its models, or mappings by column"
    raise TypeError(msg)


def key_names(model: type[Any], on: ColumnName | Sequence[ColumnName]) -> tuple[str, ...]:
    """Return the attributes of a unique key. Raises `UnknownColumn`, and `NoSuchKey` unless they form a primary key, a
    unique constraint, or a unique index without a condition.
    """
    names = [on] if not isinstance(on, Sequence) or isinstance(on, str) else on
    attributes = [column(model, name) for name in names]
    table: Table = inspect(model).local_table
    unique: list[UniqueConstraint | Index] = [one for one in table.constraints if isinstance(one, UniqueConstraint)]
    unique += [one for one in table.indexes if one.unique and one.dialect_options["postgresql"].get("where") is None]
    keys = [tuple(one.key for one in key.columns) for key in (table.primary_key, *unique)]
    wanted = {attribute.property.columns[0].key for attribute in attributes}
    if wanted not in [set(key) for key in keys]:
        raise NoSuchKey(table.name, tuple(attribute.key for attribute in attributes), tuple(keys))
    return tuple(attribute.key for attribute in attributes)


def changed_names(model: type[Any], given: Iterable[str], on: Sequence[str]) -> list[str]:
    """Return the attributes that an existing row takes over when `update` isn't given."""
    kept = {*PRESERVED_COLUMNS, *primary_key(model), *on}
    return [name for name in given if name not in kept]


def _on_duplicate_key(table: Table, keys: Sequence[Any], taken: Sequence[Any], version: Any) -> Any:
    """Return MariaDB's ON DUPLICATE KEY UPDATE, which refuses a row that matches by another key.

    MariaDB applies it for any unique key, and so would change a row that wasn't meant; the first assignment raises an
    error in that case.
    """
    statement = mysql_insert(table)
    fits: ColumnElement[bool] = or_(False, *(one.is_distinct_from(statement.inserted[one.key]) for one in keys))
    refused: ColumnElement[Any] = literal_column("(SELECT NULL UNION ALL SELECT NULL)")  # fits any type
    guard = table.primary_key.columns[0]
    values: list[tuple[str, Any]] = [(guard.key, case((fits, refused), else_=guard))]
    values += [(one.key, statement.inserted[one.key]) for one in taken]
    if version is not None:
        values.append((version.key, version + literal_column("1")))
    return statement.on_duplicate_key_update(values)

"""Selections: the SELECT of a query, cached by shape, with values as parameters.

Building a SELECT and its cache key takes longer than running it by primary key; the cache is bounded.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Select, func, inspect, literal_column, select, tuple_
from sqlalchemy.orm import LoaderCriteriaOption
from sqlalchemy.sql.base import ExecutableOption

from unitwork.dao.builders.conditions import conditions_of, named
from unitwork.dao.row_lock import RowLock
from unitwork.dao.statements.comparison import Expression, Shape
from unitwork.dao.statements.sort_order import Order, SortKey, beyond_row, order_by, total_order
from unitwork.models.soft_delete import INCLUDE_DELETED
from unitwork.rows.columns import column_keys, soft_deletable

MAX_CACHED_STATEMENTS: Final = 512
"""Maximum number of cached statements of each kind; the least recently used is evicted first."""
ROWS, COLUMNS, EXISTS, TOTAL, COUNTED = "rows", "columns", "exists", "total", "counted"
"""The result that a selection is for: rows; their columns in the order of the mapping; whether any exist; rows with the
total before LIMIT; columns with that total.
"""


class Bounds(NamedTuple):
    """LIMIT, OFFSET, and the sort values to start after; or their bind parameters."""

    limit: Any = None
    offset: Any = None
    beyond: tuple[Any, ...] | None = None
    backward: bool = False
    inclusive: bool = False


class SelectionShape(NamedTuple):
    """The parts of a query that make up its SQL, without values."""

    model: type[Any]
    dialect: str
    conditions: tuple[Shape, ...]
    include_deleted: bool
    order: tuple[str, ...]
    distinct: bool
    lock: RowLock | None
    limited: bool
    skipping: bool
    beyond: tuple[bool, ...] | None
    """One flag for each sort value of the cursor: False if it is NULL."""
    backward: bool
    inclusive: bool
    end: str
    """`ROWS`, `COLUMNS`, `EXISTS`, `TOTAL`, `COUNTED`, or the name of the column to select."""


@lru_cache(maxsize=MAX_CACHED_STATEMENTS)
def selection(shape: SelectionShape) -> Select[Any]:
    """Return the SELECT of this shape, without values."""
    model, keys = shape.model, total_order(shape.model, shape.order)
    types = [key.attribute.type for key in keys]
    bounds = Bounds(
        named("row_limit")(BigInteger()) if shape.limited else None,
        named("row_offset")(BigInteger()) if shape.skipping else None,
        None
        if shape.beyond is None
        else tuple(named(f"k{at}")(types[at]) if known else None for at, known in enumerate(shape.beyond)),
        shape.backward,
        shape.inclusive,
    )
    criteria = conditions_of(shape.conditions, model, shape.dialect)
    if not shape.include_deleted and soft_deletable(model):
        criteria.append(model.deleted_at.is_(None))
    parts = Parts(model, criteria, keys, bounds, shape.distinct, shape.lock)
    return parts.select(shape.end, shape.dialect).execution_options(**{INCLUDE_DELETED: True})


@lru_cache(maxsize=MAX_CACHED_STATEMENTS)
def by_id(model: type[Any], dialect: str, include_deleted: bool) -> Select[Any]:
    """Return the SELECT of one row's columns. The key is the parameters `p0`, `p1` and so on, in the order of the
    primary key.
    """
    shape = SelectionShape(
        model=model,
        dialect=dialect,
        conditions=tuple(Shape("eq", name) for name in primary_key(model)),
        include_deleted=include_deleted,
        order=(),
        distinct=False,
        lock=None,
        limited=False,
        skipping=False,
        beyond=None,
        backward=False,
        inclusive=False,
        end=COLUMNS,
    )
    return selection(shape).order_by(None)


class Parts(NamedTuple):
    """The parts that a SELECT is built from."""

    entity: Any
    criteria: Sequence[Expression]
    keys: Order
    bounds: Bounds
    distinct: bool
    lock: RowLock | None
    options: Sequence[ExecutableOption] = ()

    def select(self, end: str, dialect: str | None) -> Select[Any]:
        """Return the SELECT for an end: the rows in order, within the bounds."""
        bounds, entity = self.bounds, self.entity
        values = end not in {ROWS, COLUMNS, EXISTS, TOTAL, COUNTED}
        every = self._each_once() if self.distinct and not values else select(entity).where(*self.criteria)
        statement = every
        if bounds.beyond is not None:
            statement = statement.where(
                beyond_row(
                    self.keys,
                    bounds.beyond,
                    entity,
                    backward=bounds.backward,
                    inclusive=bounds.inclusive,
                    dialect=dialect,
                )
            )
        keys = self.keys
        if values and self.distinct:
            # DISTINCT would require every ORDER BY column among the selected ones.
            statement = statement.group_by(getattr(entity, end))
            keys = tuple(key for key in keys if key.attribute.key == end) or (SortKey.parse(_model(entity), end),)
        if end != EXISTS:
            statement = statement.order_by(*order_by(keys, entity, backward=bounds.backward))
        if bounds.limit is not None:
            statement = statement.limit(bounds.limit)
        if bounds.offset is not None:
            statement = statement.offset(bounds.offset)
        if self.lock is not None and end != EXISTS:
            statement = self.lock.locking(statement, entity, dialect)
        if end == EXISTS:
            statement = statement.with_only_columns(literal_column("1"), maintain_column_froms=True)
        elif end in {COLUMNS, COUNTED}:
            columns = [getattr(entity, key) for key in column_keys(_model(entity))]
            statement = statement.with_only_columns(*columns, maintain_column_froms=True)
        elif values:
            statement = statement.with_only_columns(getattr(entity, end), maintain_column_froms=True)
        if end in {TOTAL, COUNTED}:
            counted = every.with_only_columns(*self._key()).subquery()
            statement = statement.add_columns(select(func.count()).select_from(counted).scalar_subquery())
        options = self.options
        if end == EXISTS or values:  # there is no row to load relationships for
            options = [option for option in options if isinstance(option, LoaderCriteriaOption)]
        return statement.options(*options) if options else statement

    def _each_once(self) -> Select[Any]:
        """Deduplicate by primary key, as rows may have columns that can't be compared (JSON)."""
        key = self._key()
        found: ColumnElement[Any] = key[0] if len(key) == 1 else tuple_(*key)
        return select(self.entity).where(found.in_(select(*key).where(*self.criteria).correlate(None)))

    def _key(self) -> list[Any]:
        return [getattr(self.entity, name) for name in primary_key(_model(self.entity))]


def _model(entity: Any) -> type[Any]:
    model: type[Any] = inspect(entity).mapper.class_
    return model


def primary_key(model: type[Any]) -> tuple[str, ...]:
    """Return the attributes of the primary key."""
    hashable: Any = model
    return _primary_key(hashable)


@cache
def _primary_key(model: type[Any]) -> tuple[str, ...]:
    mapper = inspect(model)
    return tuple(mapper.get_property_by_column(key).key for key in mapper.primary_key)


def not_negative(what: str, rows: int) -> int:
    """Return `rows`; raise ValueError below 0."""
    if rows < 0:
        msg = f"{what}({rows}): give 0 or more"
        raise ValueError(msg)
    return rows

"""Count: the number of rows that match."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Select, func, select

from unitwork.dao.builders.conditions import Conditions, conditions_of
from unitwork.dao.statements.comparison import Shape
from unitwork.dao.statements.selection import MAX_CACHED_STATEMENTS
from unitwork.models.soft_delete import INCLUDE_DELETED, NOT_DELETED
from unitwork.rows.columns import ColumnName, column, soft_deletable
from unitwork.transactions.session_source import SessionSource

T = TypeVar("T")


class CountShape(NamedTuple):
    """The parts of a count that make up its SQL, without values. `counted` is the column, None for rows."""

    model: type[Any]
    dialect: str
    conditions: tuple[Shape, ...]
    include_deleted: bool
    counted: str | None
    distinct: bool


@dataclass(frozen=True)
class Count(Conditions[T]):
    """A COUNT to build; immutable. Run it by `rows`, `column` or `distinct`. `.statement` is the one that
    `rows` sends.
    """

    ends = ".rows()"
    sessions: SessionSource = field(kw_only=True)

    @property
    def statement(self) -> Select[int]:
        return self._with_values(None, distinct=False, dialect=None)

    async def rows(self) -> int:
        """Return the number of rows that match."""
        return await self._run(None)

    async def column(self, name: ColumnName) -> int:
        """Return the number of matching rows in which this column isn't NULL."""
        return await self._run(column(self.model, name).key)

    async def distinct(self, name: ColumnName) -> int:
        """Return the number of different values of this column among the matching rows, not counting NULL."""
        return await self._run(column(self.model, name).key, distinct=True)

    async def _run(self, counted: str | None, *, distinct: bool = False) -> int:
        shapes = self.shapes
        if shapes is not None and (reads := self.sessions.reads()) is not None:
            dialect = self.dialect_name(reads.dialect)
            shape = CountShape(self.model, dialect, shapes, self.include_deleted, counted, distinct)
            return int((await reads.read(_counting(shape), self.parameters())).rows[0][0] or 0)
        async with self.sessions.reading() as session:
            dialect = self.dialect_name(self.sessions.dialect_of(session).name)
            if shapes is None:
                return int(await session.scalar(self._with_values(counted, distinct=distinct, dialect=dialect)) or 0)
            shape = CountShape(self.model, dialect, shapes, self.include_deleted, counted, distinct)
            return int(await session.scalar(_counting(shape), self.parameters()) or 0)

    def _with_values(self, counted: str | None, *, distinct: bool, dialect: str | None) -> Select[Any]:
        statement = _selected(self.model, counted, distinct=distinct).where(*self.conditions_for(dialect))
        if self.shapes is not None:
            statement = statement.where(*self.soft_delete_filter())
        elif not self.include_deleted and soft_deletable(self.model):
            statement = statement.options(NOT_DELETED)
        return statement.execution_options(**{INCLUDE_DELETED: True})


@lru_cache(maxsize=MAX_CACHED_STATEMENTS)
def _counting(shape: CountShape) -> Select[Any]:
    """Return the SELECT of this shape, without values."""
    criteria = conditions_of(shape.conditions, shape.model, shape.dialect)
    if not shape.include_deleted and soft_deletable(shape.model):
        criteria.append(column(shape.model, "deleted_at").is_(None))
    statement = _selected(shape.model, shape.counted, distinct=shape.distinct)
    return statement.where(*criteria).execution_options(**{INCLUDE_DELETED: True})


def _selected(model: type[Any], counted: str | None, *, distinct: bool) -> Select[Any]:
    expression: ColumnElement[Any] = func.count()
    if counted is not None:
        attribute: Any = column(model, counted)
        expression = func.count(attribute.distinct() if distinct else attribute)
    return select(expression).select_from(model)

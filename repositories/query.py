"""Query: a SELECT over one model, built step by step, run by its last word."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self, TypeVar

from sqlalchemy import Select, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from repositories.columns import ColumnName, column
from repositories.conditions import Conditions
from repositories.cursor import Cursors
from repositories.errors import InvalidCursor, NotFound, TooManyRows
from repositories.pagination import Slice, SortKey, after_row, sort_values, total_order

T = TypeVar("T")
OpenSession = Callable[[], AbstractAsyncContextManager[AsyncSession]]
"""Gives the session a builder runs its one statement in: the ambient one, or a short one of its own."""


class OpenReader(Protocol):
    """Gives the session a query runs in; one that streams needs it for more than a statement's length."""

    def __call__(self, *, streaming: bool = False) -> AbstractAsyncContextManager[AsyncSession]: ...


@dataclass(frozen=True)
class Query(Conditions[T]):
    """Immutable; `.statement` is the SQLAlchemy statement it stands for."""

    open_session: OpenReader = field(kw_only=True)
    cursors: Cursors = field(kw_only=True)
    keys: tuple[SortKey, ...] = ()
    row_limit: int | None = None
    row_offset: int | None = None

    def order_by(self, *order: str) -> Self:
        """`"name"` or, descending, `"-name"`; replaces an earlier order. The primary key is always last."""
        return replace(self, keys=total_order(self.model, order))

    def limit(self, rows: int) -> Self:
        """At most so many rows. Raises ValueError below 0."""
        return replace(self, row_limit=_not_negative("limit", rows))

    def offset(self, rows: int) -> Self:
        """Leave out the first rows. Raises ValueError below 0."""
        return replace(self, row_offset=_not_negative("offset", rows))

    @property
    def statement(self) -> Select[T]:
        statement = select(self.model).where(*self.criteria)
        statement = statement.order_by(*(part for key in self._order() for part in key.order()))
        if self.row_limit is not None:
            statement = statement.limit(self.row_limit)
        if self.row_offset is not None:
            statement = statement.offset(self.row_offset)
        return statement

    async def all(self) -> list[T]:
        """Every row."""
        async with self.open_session() as session:
            return list((await session.scalars(self.statement)).all())

    async def first(self) -> T | None:
        """The first row (LIMIT 1), or None."""
        rows = await self.limit(1 if self.row_limit is None else min(1, self.row_limit)).all()
        return rows[0] if rows else None

    async def one(self) -> T:
        """The only row. Raises `NotFound` without one, `TooManyRows` with more."""
        row = await self.one_or_none()
        if row is None:
            raise NotFound(self.model.__name__.lower(), None)
        return row

    async def one_or_none(self) -> T | None:
        """The only row, or None. Raises `TooManyRows` with more."""
        rows = await self.limit(2).all()
        if len(rows) > 1:
            raise TooManyRows(self.model.__name__)
        return rows[0] if rows else None

    async def exists(self) -> bool:
        """Whether any row matches."""
        async with self.open_session() as session:
            return bool(await session.scalar(select(exists(self.statement))))

    async def scalars(self, name: ColumnName) -> list[Any]:
        """One column of every row."""
        async with self.open_session() as session:
            statement = self.statement.with_only_columns(column(self.model, name))
            return list((await session.scalars(statement)).all())

    async def stream(self, *, chunk: int = 1000) -> AsyncGenerator[T, None]:
        """Every row, `chunk` of them in memory at a time. Ends its session when the iteration ends; close a
        loop that is left early with `contextlib.aclosing`.
        """
        async with self.open_session(streaming=True) as session:
            rows = await session.stream_scalars(self.statement.execution_options(yield_per=chunk))
            try:
                async for row in rows:
                    yield row
            finally:
                await rows.close()

    async def after(self, cursor: str | None, size: int) -> Slice[T]:
        """The page of `size` rows that follows `cursor`; the first one for None. Raises `InvalidCursor`,
        and ValueError for a size below 1.
        """
        if size < 1:
            msg = f"after(…, {size}): give a size of 1 or more"
            raise ValueError(msg)
        keys = self._order()
        order = f"{self.model.__name__}:{','.join(key.name for key in keys)}"
        query = replace(self, keys=keys).limit(size + 1)
        if cursor is not None:
            values = self.cursors.read(order, cursor)
            if len(values) != len(keys):
                raise InvalidCursor
            query = query.where(after_row(keys, values))
        rows: Sequence[T] = await query.all()
        if len(rows) <= size:
            return Slice(rows, None)
        rows = rows[:size]
        return Slice(rows, self.cursors.write(order, sort_values(keys, rows[-1])))

    def _order(self) -> tuple[SortKey, ...]:
        return self.keys or total_order(self.model, ())


def _not_negative(what: str, rows: int) -> int:
    if rows < 0:
        msg = f"{what}({rows}): give 0 or more"
        raise ValueError(msg)
    return rows

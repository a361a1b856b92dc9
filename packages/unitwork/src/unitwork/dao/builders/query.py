"""Query: a SELECT over one model, built step by step and run by its last method."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar, overload

from sqlalchemy import FromClause, Result, Select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.base import ExecutableOption

from unitwork.dao.builders.conditions import Conditions, changed
from unitwork.dao.cursor import Cursors
from unitwork.dao.pagination import NO_CURSOR, Page, Position, Slice, check_size, sliced
from unitwork.dao.row_lock import RowLock
from unitwork.dao.statements.alias import alias_of, over_alias
from unitwork.dao.statements.comparison import Expression
from unitwork.dao.statements.eager import loads_beside, loads_collections
from unitwork.dao.statements.selection import (
    COLUMNS,
    COUNTED,
    EXISTS,
    ROWS,
    TOTAL,
    Bounds,
    Parts,
    SelectionShape,
    not_negative,
    selection,
)
from unitwork.dao.statements.sort_order import SortColumn, SortKey, total_order
from unitwork.errors.query import NotFound, TooManyRows
from unitwork.models.soft_delete import INCLUDE_DELETED, NOT_DELETED
from unitwork.rows.columns import ColumnName, column, soft_deletable
from unitwork.rows.instances import instance_plan
from unitwork.transactions.session_source import Reads, SessionSource

T = TypeVar("T")
V = TypeVar("V")


@dataclass(frozen=True)
class Query(Conditions[T]):
    """A SELECT to build; immutable. `.statement` is the SQLAlchemy statement it would send."""

    sessions: SessionSource = field(kw_only=True)
    cursors: Cursors = field(kw_only=True)
    keys: tuple[SortKey, ...] = ()
    row_limit: int | None = None
    row_offset: int | None = None
    each_once: bool = False
    lock: RowLock | None = None
    loading: tuple[ExecutableOption, ...] = ()
    alias: Any = None
    position: Position | None = None

    @property
    def entity(self) -> Any:
        return self.model if self.alias is None else self.alias

    def where(self, *expressions: Expression) -> Self:
        """Add SQLAlchemy expressions, written over `.entity`."""
        if self.alias is not None:
            expressions = tuple(over_alias(one, self.model, self.alias) for one in expressions)
        return super().where(*expressions)

    def order_by(self, *order: SortColumn) -> Self:
        """Sort by columns: `"name"`, `User.name`, or descending `"-name"`, `User.name.desc()`.

        Replaces an earlier order. The primary key is always appended. NULL comes last in both directions.
        """
        return changed(self, keys=total_order(self.model, order))

    def limit(self, rows: int) -> Self:
        """Return at most this many rows. Raises ValueError below 0."""
        return changed(self, row_limit=not_negative("limit", rows))

    def offset(self, rows: int) -> Self:
        """Skip this many rows. Raises ValueError below 0."""
        return changed(self, row_offset=not_negative("offset", rows))

    def distinct(self) -> Self:
        """Return each row once, even if a condition over other tables matches it several times. With `scalars`, return
        each value once, in the order of the values.
        """
        return changed(self, each_once=True)

    def with_for_update(self, *, skip_locked: bool = False, nowait: bool = False, timeout: float | None = None) -> Self:
        """Lock the rows until the transaction ends. Running it without a transaction raises `NoActiveTransaction`.

        A row that is locked already is waited for, or skipped (`skip_locked`), or raises `LockNotAvailable`: at once
        (`nowait`), or after `timeout` seconds (MariaDB: whole seconds). SQLite has no row locks and raises
        `NotSupported` for the first two options.
        """
        return changed(self, lock=RowLock(skip_locked, nowait, timeout))

    def options(self, *options: ExecutableOption) -> Self:
        """Add SQLAlchemy options, such as `selectinload(User.orders)`. A query with options opens its own
        transaction.
        """
        return changed(self, loading=self.loading + options)

    def from_subquery(self, subquery: FromClause | Select[Any]) -> Self:
        """Select from a subquery, which must have every column of the model, instead of from the table.

        All conditions, including earlier ones, refer to the subquery; write expressions of your own over `.entity`.
        """
        builder = changed(self, alias=alias_of(self.model, subquery), conditions=())
        for one in self.conditions:
            builder = changed(builder, conditions=(*builder.conditions, over_alias(one, self.model, builder.alias)))
        return builder

    @property
    def statement(self) -> Select[T]:
        return self._parts(ROWS, None)

    async def all(self) -> list[T]:
        """Return every row."""
        reads, plan = self._reads(), instance_plan(self.model)
        if reads is not None and plan is not None and not self._several:
            found = await reads.read(*self._statement_for(COLUMNS, reads.dialect))
            return plan.instances(found.rows, reads.session)
        async with self.sessions.reading(several=self._several) as session:
            return list((await self.run(session)).scalars().all())

    async def first(self) -> T | None:
        """Return the first row (LIMIT 1), or None."""
        rows = await self.limit(1 if self.row_limit is None else min(1, self.row_limit)).all()
        return rows[0] if rows else None

    async def one(self) -> T:
        """Return the only row. Raises `NotFound` if there is none, `TooManyRows` if there are more."""
        row = await self.one_or_none()
        if row is None:
            raise NotFound(self.model.__name__.lower(), None)
        return row

    async def one_or_none(self) -> T | None:
        """Return the only row, or None. Raises `TooManyRows` if there are more."""
        rows = await self.limit(2 if self.row_limit is None else min(2, self.row_limit)).all()
        if len(rows) > 1:
            raise TooManyRows(self.model.__name__)
        return rows[0] if rows else None

    async def exists(self) -> bool:
        """True if any row matches."""
        return await self._any(min(1, 1 if self.row_limit is None else self.row_limit))

    @overload
    async def scalars(self, name: InstrumentedAttribute[V]) -> list[V]: ...

    @overload
    async def scalars(self, name: str) -> list[Any]: ...

    async def scalars(self, name: ColumnName) -> list[Any]:
        """Return the values of one column, one for each row."""
        key = column(self.model, name).key
        if (reads := self._reads()) is not None and not self._bounded:
            return [row[0] for row in (await reads.read(*self._statement_for(key, reads.dialect))).rows]
        async with self.sessions.reading(several=self._bounded) as session:
            return list((await self.run(session, key)).scalars().all())

    async def stream(self, *, chunk: int = 1000) -> AsyncGenerator[T, None]:
        """Yield every row, with `chunk` of them in memory at a time. The session ends with the iteration; wrap a loop
        that may be left early in `contextlib.aclosing`.
        """
        async with self.sessions.reading(streaming=self.lock is None) as session:
            dialect = self.sessions.dialect_of(session)
            if self.lock is not None:
                self.lock.check(session, dialect)
            statement, parameters = self._statement_for(ROWS, dialect.name)
            rows = await session.stream_scalars(statement.execution_options(yield_per=chunk), parameters)
            try:
                async for part in rows.partitions(chunk):  # one await per chunk instead of one per row
                    for row in part:
                        yield row
            finally:
                await rows.close()

    async def page(self, page: int, size: int) -> Page[T]:
        """Return page number `page`, from 1, and the total number of rows, from one snapshot. Raises ValueError below
        1, and in combination with `limit` or `offset`.
        """
        check_size("page", size, self.row_limit, self.row_offset)
        if page < 1:
            msg = f"page({page}, …): the first page is 1"
            raise ValueError(msg)
        found = await self._counted(size, (page - 1) * size)
        if not found.items and page > 1:
            # A page beyond the last has no row that could hold the total.
            return Page([], (await self._counted(1, 0)).total)
        return found

    async def after(self, cursor: str | None, size: int) -> Slice[T]:
        """Return the `size` rows that follow `cursor`, or the first ones for None. Raises `InvalidCursor`, and
        ValueError for a size below 1 or in combination with `limit` or `offset`.
        """
        return await self._slice("after", cursor, size, backward=False)

    async def before(self, cursor: str | None, size: int) -> Slice[T]:
        """Return the `size` rows before `cursor`, in sort order, or the last ones for None. Raises as `after` does."""
        return await self._slice("before", cursor, size, backward=True)

    async def _slice(self, word: str, cursor: str | None, size: int, *, backward: bool) -> Slice[T]:
        check_size(word, size, self.row_limit, self.row_offset)
        keys, model = self._order(), self.model
        query = changed(self, keys=keys, position=Position((), backward=backward, inclusive=False))
        position = None
        if cursor is not None:
            position = Position.read(self.cursors, model, keys, cursor, backward=backward)
            query = changed(query, position=position)
        rows: Sequence[T] = await query.limit(size + 1).all()
        return sliced(rows, size, position, model=model, keys=keys, cursors=self.cursors, backward=backward)

    async def _counted(self, limit: int, offset: int) -> Page[T]:
        """Return the rows of the page and the total, which is 0 if the page has no rows."""
        bounded = changed(self, row_limit=limit, row_offset=offset)
        reads, plan = self._reads(), instance_plan(self.model)
        if reads is not None and plan is not None and not self._several:
            rows = (await reads.read(*bounded._statement_for(COUNTED, reads.dialect))).rows  # noqa: SLF001 - same class
            return Page(plan.instances(rows, reads.session), rows[0][-1] if rows else 0)
        async with self.sessions.reading(several=self._several) as session:
            found: Sequence[Any] = (await bounded.run(session, TOTAL)).all()
        return Page([row[0] for row in found], found[0][1] if found else 0)

    async def _any(self, limit: int) -> bool:
        limited = changed(self, row_limit=limit)
        if (reads := self._reads()) is not None:
            return bool((await reads.read(*limited._statement_for(EXISTS, reads.dialect))).rows)  # noqa: SLF001 - same class
        async with self.sessions.reading() as session:
            return bool((await limited.run(session, EXISTS)).scalar())

    def _reads(self) -> Reads | None:
        """Return the sender that bypasses the session; None if this query needs one."""
        if self.lock is not None or self.loading or self.alias is not None or self.shapes is None:
            return None
        return self.sessions.reads()

    async def run(self, session: AsyncSession, end: str = ROWS) -> Result[Any]:
        """Run the query in this session, selecting what `end` names. For statements of a DAO of your own."""
        dialect = self.sessions.dialect_of(session)
        statement, parameters = self._statement_for(end, dialect.name)
        if self.lock is None:
            result: Result[Any] = await session.execute(statement, parameters)
        else:
            self.lock.check(session, dialect)
            async with self.lock.bounded(session, dialect):
                result = await session.execute(statement, parameters)
        if end in {ROWS, TOTAL} and (self.loading or loads_collections(self.model)):
            return result.unique()
        return result

    def _statement_for(self, end: str, dialect: str) -> tuple[Select[Any], dict[str, Any]]:
        """Return the statement for an end and its parameters: from the cache if the query's shape can be cached."""
        shapes = None if self.loading or self.alias is not None else self.shapes
        dialect = self.dialect_name(dialect)
        if shapes is None:
            return self._parts(end, dialect), {}
        limit, offset, position = self.row_limit, self.row_offset, self.position or NO_CURSOR
        parameters = self.parameters() | position.parameters()
        if limit is not None:
            parameters["row_limit"] = limit
        if offset is not None:
            parameters["row_offset"] = offset
        shape = SelectionShape(
            self.model,
            dialect,
            shapes,
            self.include_deleted,
            tuple(key.name for key in self.keys),
            self.each_once,
            self.lock,
            limit is not None,
            offset is not None,
            position.known,
            position.backward,
            position.inclusive,
            end,
        )
        return selection(shape), parameters

    def _parts(self, end: str, dialect: str | None) -> Select[Any]:
        """Return the statement with its values in it."""
        position = self.position or NO_CURSOR
        bounds = Bounds(self.row_limit, self.row_offset, position.values or None, position.backward, position.inclusive)
        criteria, options = self.conditions_for(dialect), list(self.loading)
        if not self.include_deleted and soft_deletable(self.model):
            if self.shapes is not None and not self.loading and self.alias is None:
                criteria += self.soft_delete_filter()
            else:
                options.append(NOT_DELETED)  # filters joined tables and eager loads, too
        parts = Parts(self.entity, criteria, self._order(), bounds, self.each_once, self.lock, options)
        return parts.select(end, dialect).execution_options(**{INCLUDE_DELETED: True})

    @property
    def _several(self) -> bool:
        """True if running the query takes more than one statement."""
        return bool(self.loading) or self._bounded or loads_beside(self.model)

    @property
    def _bounded(self) -> bool:
        return self.lock is not None and self.lock.timeout is not None

    def _order(self) -> tuple[SortKey, ...]:
        return self.keys or total_order(self.model, ())

"""BaseDao: the reads and writes every DAO has. It joins the ambient transaction, else opens a short session."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from typing import Any, Final, Generic, TypeVar, TypeVarTuple, cast, get_args, overload

from sqlalchemy import Select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase

from unitwork.call_site import know_dao
from unitwork.dao.builders.count import Count
from unitwork.dao.builders.delete import Delete
from unitwork.dao.builders.query import Query
from unitwork.dao.builders.update import Update
from unitwork.dao.cursor import Cursors
from unitwork.dao.inserts.bulk_insert import BulkInsert
from unitwork.dao.inserts.one_row import store_one
from unitwork.dao.inserts.upsert import Upsert
from unitwork.dao.statements.comparison import LARGEST
from unitwork.dao.statements.joined_rows import repeats_models, row_plan
from unitwork.dao.statements.selection import by_id, primary_key
from unitwork.errors import StaleVersion
from unitwork.errors.query import NotFound
from unitwork.models.utc_datetime import utc_now
from unitwork.rows.columns import ColumnName, check_soft_deletable, column
from unitwork.rows.instances import instance_plan
from unitwork.sessions.session import SessionProvider, inside_statements
from unitwork.transactions.session_source import SessionSource, source_of

T = TypeVar("T", bound=DeclarativeBase)
Q = TypeVar("Q", bound=Query[Any])
Ts = TypeVarTuple("Ts")
MAX_KEYS_PER_SELECT: Final = 1000
"""Maximum number of composite keys in one SELECT of `get_many`."""


class BaseDao(Generic[T]):
    """Reads and writes of one model. Never commits: the enclosing block does.

    The model is the one in `class UserDao(BaseDao[User])`, or the argument. `cursors` signs the cursors of pages;
    without it, cursors are valid within this process only.
    """

    model: type[T]
    not_found: Callable[[Any], NotFound] | None = None
    """Build the exception that `get` raises, from the id; None for plain `NotFound`."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        know_dao(cls)
        for base in getattr(cls, "__orig_bases__", ()):
            for argument in get_args(base):
                if isinstance(argument, type) and issubclass(argument, DeclarativeBase):
                    cls.model = cast("type[T]", argument)

    def __init__(
        self, session_provider: SessionProvider, model: type[T] | None = None, *, cursors: Cursors | None = None
    ) -> None:
        self._session_provider = session_provider
        self._cursors = Cursors() if cursors is None else cursors
        if model is not None:
            self.model = model

    @cached_property
    def _sessions(self) -> SessionSource:
        # Created lazily: most requests use few of a service's DAOs.
        return source_of(self._session_provider)

    def query(self, *, include_deleted: bool = False) -> Query[T]:
        """Start a SELECT, in the order of the primary key unless `order_by` is called."""
        return Query(self.model, include_deleted, sessions=self._sessions, cursors=self._cursors)

    def count(self, *, include_deleted: bool = False) -> Count[T]:
        """Start a COUNT."""
        return Count(self.model, include_deleted, sessions=self._sessions)

    def update(self, *, include_deleted: bool = False) -> Update[T]:
        """Start an UPDATE."""
        return Update(self.model, include_deleted, sessions=self._sessions)

    def delete(self, *, include_deleted: bool = False) -> Delete[T]:
        """Start a DELETE, which removes rows for good."""
        return Delete(self.model, include_deleted, sessions=self._sessions)

    async def get(self, id: Any, *, include_deleted: bool = False) -> T:
        """Return the row. A composite key is a tuple, in the order of the primary key. Raises `NotFound` when there is
        no such row or it is soft-deleted.
        """
        row = await self.get_or_none(id, include_deleted=include_deleted)
        if row is None:
            raise self._no_row(id)
        return row

    async def get_or_none(self, id: Any, *, include_deleted: bool = False) -> T | None:
        """Return the row, or None when there is none or it is soft-deleted."""
        key = key_of(self.model, id)
        if not possible_key(key):
            return None
        reads, plan = self._sessions.reads(), instance_plan(self.model)
        if reads is not None and plan is not None and type(self).query is BaseDao.query:
            parameters = {"p0": id} if len(key) == 1 else {f"p{at}": value for at, value in enumerate(key)}
            found = await reads.read(by_id(self.model, reads.dialect, include_deleted), parameters)
            return plan.instances(found.rows, reads.session)[0] if found.rows else None
        return await with_key(self.query(include_deleted=include_deleted), self.model, key).first()

    async def get_locked(self, id: Any, *, include_deleted: bool = False) -> T:
        """Return the row, locked against changes by others until the transaction ends. Raises as `get` does."""
        async with self._session() as session:
            return await self._load(session, id, version=None, include_deleted=include_deleted)

    async def flush(self) -> None:
        """Send pending changes of the ambient transaction's rows. Raises `ConstraintViolation` and `StaleVersion`."""
        async with self._session() as session:
            await session.flush()

    async def get_many(self, ids: Iterable[Any]) -> list[T]:
        """Return the rows that exist, in the order of the ids; an id given twice yields its row twice."""
        keys = [key for id_ in ids if possible_key(key := key_of(self.model, id_))]
        names = primary_key(self.model)
        found: list[T] = []
        if len(names) == 1:
            found = await self.query().in_(names[0], {value for (value,) in keys}).all()
        else:
            columns = tuple_(*(column(self.model, name) for name in names))
            distinct = list(dict.fromkeys(keys))
            for at in range(0, len(distinct), MAX_KEYS_PER_SELECT):
                found += await self.query().where(columns.in_(distinct[at : at + MAX_KEYS_PER_SELECT])).all()
        rows = {tuple(getattr(row, name) for name in names): row for row in found}
        return [rows[key] for key in keys if key in rows]

    async def add(self, row: T) -> T:
        """Store a new row and return it with its id and stamps. Raises `ConstraintViolation`."""
        inside = self._sessions.inside()
        if inside is not None and inside.writing and await store_one(inside, row):
            return row
        async with self._session() as session:
            inside = inside_statements(session) if inside is None else None
            if inside is None or not inside.writing or not await store_one(inside, row):
                session.add(row)
                await session.flush()
        return row

    @overload
    async def add_many(self, rows: Sequence[T]) -> Sequence[T]: ...  # type: ignore[overload-overlap]  # models match it first

    @overload
    async def add_many(self, rows: Iterable[T | Mapping[str, Any]]) -> int: ...

    async def add_many(self, rows: Iterable[Any]) -> Any:
        """Store any number of new rows, all or none, with a bounded number in memory at a time. Unset columns get their
        defaults, rows may differ in the columns they set, and ids and stamps are generated here.

        A sequence of models returns the same models, with ids and stamps. Mappings by column, and models from an
        iterator, return the number of rows. PostgreSQL stores 1,000 rows or more by COPY, in the caller's transaction
        (docs/decisions/0031). Raises `ConstraintViolation`, `UnknownColumn`, TypeError.
        """
        async with self._session() as session:
            stored = await BulkInsert(session, self.model).store(rows)
        return rows if isinstance(rows, Sequence) and all(isinstance(row, self.model) for row in rows) else stored

    async def upsert_many(
        self,
        rows: Iterable[T | Mapping[str, Any]],
        *,
        on: ColumnName | Sequence[ColumnName],
        update: Iterable[ColumnName] | None = None,
    ) -> int:
        """Insert rows, or update those that have the same unique key `on`; all or none. Return the number of rows.

        Takes any number of rows, as `add_many` does; of several rows with one key the last wins. An existing row takes
        the columns in `update` (unset: those its new row gives; empty: none, it is left unchanged). It keeps its id and
        creation stamps, its version increments, and it stays soft-deleted unless `update` names `deleted_at`. Models
        are read as values and not changed. Raises `NoSuchKey`, `UniqueViolation` when another key is taken, and what
        `add_many` raises.
        """
        async with self._session() as session:
            return await Upsert(session, self.model, on=on, update=update).store(rows)

    async def soft_delete(self, id: Any, *, version: int | None = None) -> T:
        """Mark the row as deleted. Raises `NotFound`, `StaleVersion` when `version` isn't the row's, and TypeError for
        a model without `SoftDelete`.
        """
        return await self._mark(id, version=version, deleted=True)

    async def restore(self, id: Any, *, version: int | None = None) -> T:
        """Undo a soft delete; a row that isn't deleted is unchanged. Raises as `soft_delete` does."""
        return await self._mark(id, version=version, deleted=False)

    async def purge(self, id: Any, *, version: int | None = None) -> None:
        """Delete the row for good, soft-deleted or not. Raises as `soft_delete` does."""
        async with self._session() as session:
            await session.delete(await self._load(session, id, version=version, include_deleted=True))
            await session.flush()

    async def _mark(self, id: Any, *, version: int | None, deleted: bool) -> T:
        check_soft_deletable(self.model)
        async with self._session() as session:
            row = await self._load(session, id, version=version, include_deleted=not deleted)
            if (cast("Any", row).deleted_at is not None) is not deleted:
                cast("Any", row).deleted_at = utc_now() if deleted else None
                await session.flush()
            return row

    async def _load(self, session: AsyncSession, id: Any, *, version: int | None, include_deleted: bool) -> T:
        key = key_of(self.model, id)
        if not possible_key(key):
            raise self._no_row(id)
        statement = with_key(self.query(include_deleted=include_deleted), self.model, key).limit(1).statement
        if version is None:
            # Without a version to check, wait for a concurrent change instead of failing because of it.
            statement = statement.with_for_update()
        row = (await session.scalars(statement)).first()
        if row is None:
            raise self._no_row(id)
        check_version(row, version)
        return row

    async def fetch(self, statement: Select[*Ts], **parameters: Any) -> list[tuple[*Ts]]:
        """Run a SELECT of the DAO's own, of models and columns, and return its rows.

        The statement is built once, and its values are the `parameters` of its `bindparam`s: then it is compiled once,
        and sent as the DAO's other reads are. Soft-deleted rows are left out unless its option `include_deleted` is
        set.
        """
        sent: Any = statement
        reads, plan = self._sessions.reads(), row_plan(sent)
        if reads is not None and plan is not None and plan.names == parameters.keys():
            return plan.rows((await reads.read(plan.statement, parameters)).rows, reads.session)
        async with self._reading() as session:
            result: Any = await session.execute(sent, parameters)
            return [tuple(row) for row in (result.unique() if repeats_models(sent) else result).all()]

    def _session(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a session for several statements."""
        return self._sessions.writing(several=True)

    def _reading(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a session for one SELECT."""
        return self._sessions.reading()

    def _no_row(self, id: Any) -> NotFound:
        make = type(self).not_found
        return NotFound(self.model.__name__.lower(), id) if make is None else make(id)


def key_of(model: type[Any], id: Any) -> tuple[Any, ...]:
    """Return the values of the primary key. Raises TypeError if a composite key isn't a tuple of its length."""
    names = primary_key(model)
    if len(names) == 1:
        return (id,)
    if not isinstance(id, tuple) or len(id) != len(names):
        msg = f"the key of {model.__name__} is a tuple: ({', '.join(names)})"
        raise TypeError(msg)
    return id


def with_key(query: Q, model: type[Any], key: Sequence[Any]) -> Q:
    """Restrict the query to the row with this primary key."""
    for name, value in zip(primary_key(model), key, strict=True):
        query = query.eq(name, value)
    return query


def possible_key(key: Iterable[Any]) -> bool:
    """True if a row can have this key. Larger integers would raise OverflowError in a driver."""
    for value in key:  # noqa: SIM110 - a generator would take several times as long
        if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
            return False
    return True


def check_version(row: Any, version: int | None) -> None:
    """Raise `StaleVersion` if a version is given and the row has another."""
    if version is not None and row.version != version:
        raise StaleVersion

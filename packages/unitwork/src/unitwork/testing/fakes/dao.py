"""InMemoryDao: a DAO whose rows are kept in a `FakeSessionProvider`."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase

from unitwork.dao.base_dao import BaseDao, check_version, key_of, possible_key, with_key
from unitwork.dao.cursor import Cursors
from unitwork.dao.inserts.upsert import STAMPS, as_mapping, changed_names, key_names
from unitwork.models.base import ID_GENERATOR
from unitwork.rows.columns import ColumnName, check_columns, column
from unitwork.rows.new_rows import NewRows
from unitwork.sessions.session import SessionProvider
from unitwork.testing.fakes.count import InMemoryCount
from unitwork.testing.fakes.delete import InMemoryDelete
from unitwork.testing.fakes.query import InMemoryQuery
from unitwork.testing.fakes.session import fake
from unitwork.testing.fakes.session_provider import FakeSessionProvider
from unitwork.testing.fakes.update import InMemoryUpdate

T = TypeVar("T", bound=DeclarativeBase)


class InMemoryDao(BaseDao[T]):
    """A DAO of any model: `InMemoryDao(sessions, Token)`.

    As the first base of a subclass, it also runs the methods of a specific DAO, as far as they use builders: `class
    InMemoryUsers(InMemoryDao[User], UserDao)`. Raises `NotFaked` for what only a database can do, and `NotAFakeSession`
    for a session that isn't a fake.
    """

    def __init__(
        self, session_provider: SessionProvider, model: type[T] | None = None, *, cursors: Cursors | None = None
    ) -> None:
        super().__init__(session_provider, model, cursors=cursors)
        if isinstance(session_provider, FakeSessionProvider):
            session_provider.keep(self.model)

    def query(self, *, include_deleted: bool = False) -> InMemoryQuery[T]:
        return InMemoryQuery(self.model, include_deleted, sessions=self._sessions, cursors=self._cursors)

    def count(self, *, include_deleted: bool = False) -> InMemoryCount[T]:
        return InMemoryCount(self.model, include_deleted, sessions=self._sessions)

    def update(self, *, include_deleted: bool = False) -> InMemoryUpdate[T]:
        return InMemoryUpdate(self.model, include_deleted, sessions=self._sessions)

    def delete(self, *, include_deleted: bool = False) -> InMemoryDelete[T]:
        return InMemoryDelete(self.model, include_deleted, sessions=self._sessions)

    async def add_many(self, rows: Iterable[Any]) -> Any:
        count = 0
        async with self._session() as session:
            for row in rows:
                session.add(row if isinstance(row, self.model) else self._model_of(as_mapping(self.model, row)))
                count += 1
            await session.flush()
        return rows if isinstance(rows, Sequence) and all(isinstance(row, self.model) for row in rows) else count

    async def upsert_many(
        self,
        rows: Iterable[Any],
        *,
        on: ColumnName | Sequence[ColumnName],
        update: Iterable[ColumnName] | None = None,
    ) -> int:
        names = key_names(self.model, on)
        wanted = None if update is None else [column(self.model, name).key for name in update]
        count = 0
        async with self._session() as session:
            memory = fake(session)
            new_rows = NewRows(self.model, {ID_GENERATOR: memory.memory.generators.snowflake})
            await session.flush()
            for row in rows:
                given = as_mapping(self.model, row)
                values = {new_rows.attributes[key]: value for key, value in new_rows.of(given).items()}
                await self._upsert(
                    session, values, names, changed_names(self.model, given, names) if wanted is None else wanted
                )
                count += 1
            memory.read_again(self.model)
        return count

    async def _upsert(
        self, session: AsyncSession, values: Mapping[str, Any], on: Sequence[str], changes: Sequence[str]
    ) -> None:
        key = {name: values[name] for name in on}
        if None in key.values() or not await self.query(include_deleted=True).filter_by(**key).exists():
            session.add(self.model(**values))
            await session.flush()
        elif changes:
            update = self.update(include_deleted=True).filter_by(**key)
            names = dict.fromkeys((*changes, *(name for name in STAMPS if name in values)))
            await update.set(**{name: values[name] for name in names}).execute()

    def _model_of(self, given: Mapping[str, Any]) -> T:
        check_columns(self.model, given)
        return self.model(**given)

    async def _load(self, session: AsyncSession, id: Any, *, version: int | None, include_deleted: bool) -> T:
        memory = fake(session)
        key = key_of(self.model, id)
        if not possible_key(key):
            raise self._no_row(id)
        if version is None:
            # Without a version to check, wait for other writers instead of failing because of them.
            await memory.take_turn()
        rows = await with_key(self.query(include_deleted=include_deleted), self.model, key).limit(1).rows(memory)
        if not rows:
            raise self._no_row(id)
        check_version(rows[0], version)
        return rows[0]

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[AsyncSession]:
        async with super()._session() as session:
            yield fake(session)  # a real session would write to its database

"""InMemoryDao: a DAO whose rows live in a `FakeSessionProvider`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from database import SessionProvider
from domain.model import Base
from repositories.base_dao import BaseDao, check_version
from repositories.cursor import Cursors
from repositories.testing.count import InMemoryCount
from repositories.testing.delete import InMemoryDelete
from repositories.testing.query import InMemoryQuery
from repositories.testing.session import fake
from repositories.testing.session_provider import FakeSessionProvider
from repositories.testing.update import InMemoryUpdate

T = TypeVar("T", bound=Base)


class InMemoryDao(BaseDao[T]):
    """Any model's DAO: `InMemoryDao(sessions, Token)`. Before a DAO it gives that one's own methods too, where they
    ask through builders: `class InMemoryUsers(InMemoryDao[User], UserDao)`.

    Raises `NotFaked` for what only a database knows, `NotAFakeSession` over a session that isn't a fake.
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

    async def _load(self, session: AsyncSession, id: int, *, version: int | None, include_deleted: bool) -> T:
        memory = fake(session)
        if version is None:
            # Any version will do: the next one to write is this unit.
            await memory.take_turn()
        rows = await self.query(include_deleted=include_deleted).eq("id", id).limit(1).rows(memory)
        if not rows:
            raise self._no_row(id)
        check_version(rows[0], version)
        return rows[0]

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[AsyncSession]:
        async with super()._session() as session:
            yield fake(session)  # another would store the rows in its database

"""Stand-ins for tests: accounts in memory, and a session provider that never connects."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import NoReturn

from sqlalchemy.ext.asyncio import AsyncSession

from database.errors import UniqueViolation
from domain import Role, User, UserStatus, acting_user_id
from domain.utc_datetime import utc_now
from repositories import UserDao
from repositories.base_dao import check_version


class FakeSessions:
    """A session provider without a database. `outcomes` tells how each block ended."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self.open = 0

    @asynccontextmanager
    async def __call__(self, *, autoflush: bool = True, read_only: bool = False) -> AsyncIterator[AsyncSession]:
        self.open += 1
        try:
            yield AsyncSession(autoflush=autoflush, expire_on_commit=False)
        except BaseException:
            self.outcomes.append("rolled back")
            raise
        else:
            self.outcomes.append("committed")
        finally:
            self.open -= 1


class InMemoryUsers(UserDao):
    """Accounts in a dict, stamped and kept unique as the database would. Builders are not faked: `query` raises."""

    def __init__(self, *users: User) -> None:
        super().__init__(FakeSessions())
        self.rows: dict[int, User] = {}
        self._next_id = 1
        for user in users:
            self._store(user, author=0)

    async def get_or_none(self, id: int, *, include_deleted: bool = False) -> User | None:
        user = self.rows.get(id)
        return None if user is None or (user.deleted and not include_deleted) else user

    async def get_many(self, ids: Iterable[int]) -> list[User]:
        return [user for id_ in ids if (user := await self.get_or_none(id_)) is not None]

    async def add(self, row: User) -> User:
        return self._store(row, author=acting_user_id())

    async def add_many(self, rows: Sequence[User]) -> Sequence[User]:
        return [await self.add(row) for row in rows]

    async def with_contacts(self, email_keys: Iterable[str], phones: Iterable[str]) -> list[User]:
        keys, numbers = set(email_keys), set(phones)
        return [user for user in self.rows.values() if user.email_key in keys or user.phone in numbers]

    async def soft_delete(self, id: int, *, version: int | None = None) -> User:
        return self._marked(await self.get(id), version, deleted=True)

    async def restore(self, id: int, *, version: int | None = None) -> User:
        return self._marked(await self.get(id, include_deleted=True), version, deleted=False)

    async def purge(self, id: int, *, version: int | None = None) -> None:
        check_version(await self.get(id, include_deleted=True), version)
        del self.rows[id]

    def query(self, *, include_deleted: bool = False) -> NoReturn:
        msg = "InMemoryUsers fakes no builders: this test needs a database"
        raise NotImplementedError(msg)

    count = update = query

    def _store(self, user: User, *, author: int) -> User:
        for other in self.rows.values():
            for column in ("email_key", "phone"):
                if getattr(user, column) is not None and getattr(user, column) == getattr(other, column):
                    raise UniqueViolation(constraint=f"uq_users_{column}", columns=(column,))
        user.id, self._next_id = self._next_id, self._next_id + 1
        user.version = 1
        user.role = user.role or Role.USER
        user.status = user.status or UserStatus.ACTIVE
        user.created_at = user.updated_at = utc_now()
        user.created_by = user.updated_by = author
        self.rows[user.id] = user
        return user

    def _marked(self, user: User, version: int | None, *, deleted: bool) -> User:
        check_version(user, version)
        if user.deleted is not deleted:
            user.deleted_at = utc_now() if deleted else None
            user.version += 1
            user.updated_by = acting_user_id()
        return user


class FailingUsers(InMemoryUsers):
    """Every question about an account raises the same error."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    async def get_or_none(self, id: int, *, include_deleted: bool = False) -> User | None:
        raise self._error

    async def add(self, row: User) -> User:
        raise self._error

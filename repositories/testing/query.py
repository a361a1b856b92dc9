"""InMemoryQuery: a query over rows in memory."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, TypeVar

from repositories.columns import ColumnName, column
from repositories.pagination import SortKey
from repositories.query import Query
from repositories.testing.builder import InMemoryBuilder
from repositories.testing.session import FakeSession, fake
from repositories.testing.values import Values, loaded

T = TypeVar("T")


@dataclass(frozen=True)
class InMemoryQuery(InMemoryBuilder[T], Query[T]):
    """Sorts text by code point, and NULL last."""

    answered = InMemoryBuilder.answered | {"cursors", "keys", "row_limit", "row_offset"}

    async def all(self) -> list[T]:
        async with self.open_session() as session:
            return await self.rows(fake(session))

    async def exists(self) -> bool:
        async with self.open_session() as session:
            return bool(await self._found(fake(session)))

    async def scalars(self, name: ColumnName) -> list[Any]:
        attribute = column(self.model, name)
        async with self.open_session() as session:
            key = fake(session).table(self.model).columns[attribute.key].key
            return [loaded(attribute.type, values[key]) for values in await self._found(fake(session))]

    async def stream(self, *, chunk: int = 1000) -> AsyncGenerator[T, None]:
        async with self.open_session(streaming=True) as session:
            memory = fake(session)
            for values in await self._found(memory):
                yield memory.model(self.model, values)

    async def rows(self, session: FakeSession) -> list[T]:
        """The models of the rows, in this session."""
        return [session.model(self.model, values) for values in await self._found(session)]

    async def _found(self, session: FakeSession) -> list[Values]:
        self.check_answered()
        found = await session.found(self.model, self.criteria, self.statement)
        columns = session.table(self.model).columns
        for key in reversed(self._order()):
            found = _sorted(found, columns[key.attribute.key].key, key)
        start = self.row_offset or 0
        return found[start:] if self.row_limit is None else found[start : start + self.row_limit]


def _sorted(rows: list[Values], column_key: str, key: SortKey) -> list[Values]:
    known = [values for values in rows if values[column_key] is not None]
    known.sort(key=lambda values: values[column_key], reverse=key.descending)
    return known + [values for values in rows if values[column_key] is None]

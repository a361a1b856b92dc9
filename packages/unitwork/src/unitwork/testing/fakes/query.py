"""InMemoryQuery: a query over rows in memory."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, TypeVar

from unitwork.dao.builders.conditions import changed
from unitwork.dao.builders.query import Query
from unitwork.dao.pagination import Page
from unitwork.dao.statements.comparison import Expression
from unitwork.dao.statements.sort_order import SortKey, beyond_row
from unitwork.rows.columns import ColumnName, column
from unitwork.testing.fakes.builder import InMemoryBuilder
from unitwork.testing.fakes.errors import NotFaked
from unitwork.testing.fakes.rows.values import Values, loaded
from unitwork.testing.fakes.session import FakeSession, fake

T = TypeVar("T")


@dataclass(frozen=True)
class InMemoryQuery(InMemoryBuilder[T], Query[T]):
    """A query over rows in memory. Sorts text by code point, and NULL last."""

    answered = InMemoryBuilder.answered | {
        "cursors",
        "keys",
        "row_limit",
        "row_offset",
        "each_once",
        "lock",
        "position",
    }

    async def all(self) -> list[T]:
        async with self.sessions.reading() as session:
            return await self.rows(fake(session))

    async def scalars(self, name: ColumnName) -> list[Any]:
        attribute = column(self.model, name)
        async with self.sessions.reading() as session:
            key = fake(session).table(self.model).columns[attribute.key].key
            found = await self._found(fake(session), attribute.key if self.each_once else None)
            return [loaded(attribute.type, values[key]) for values in found]

    async def stream(self, *, chunk: int = 1000) -> AsyncGenerator[T, None]:
        async with self.sessions.reading(streaming=True) as session:
            memory = fake(session)
            for values in await self._found(memory):
                yield memory.model(self.model, values)

    async def rows(self, session: FakeSession) -> list[T]:
        """Return the models of the rows, in this session."""
        return [session.model(self.model, values) for values in await self._found(session)]

    async def _counted(self, limit: int, offset: int) -> Page[T]:
        async with self.sessions.reading() as session:
            memory = fake(session)
            found = await changed(self, row_limit=None, row_offset=None).rows(memory)
            return Page(found[offset : offset + limit], len(found))

    async def _any(self, limit: int) -> bool:
        async with self.sessions.reading() as session:
            return bool(await changed(self, row_limit=limit).rows(fake(session)))

    async def _found(self, session: FakeSession, each: str | None = None) -> list[Values]:
        """Return the stored rows; with `each`, one for each value of this attribute, in the order of the values."""
        self.check_answered()
        if self.lock is not None:
            if self.lock.skip_locked or self.lock.nowait or self.lock.timeout is not None:
                raise NotFaked("a locked row, which memory has none of,")
            self.lock.check(session, self.sessions.dialect_of(session))
            await session.take_turn()
        found = await session.found(self.model, (*self.criteria, *self._beyond()), self.statement)
        columns = session.table(self.model).columns
        keys = self._order()
        if each is not None:
            keys = tuple(key for key in keys if key.attribute.key == each) or (SortKey.parse(self.model, each),)
            found = list({values[columns[each].key]: values for values in found}.values())
        backward = self.position is not None and self.position.backward
        for key in reversed(keys):
            found = _sorted(found, columns[key.attribute.key].key, key, backward=backward)
        start = self.row_offset or 0
        return found[start:] if self.row_limit is None else found[start : start + self.row_limit]

    def _beyond(self) -> list[Expression]:
        position = self.position
        if position is None or not position.values:
            return []
        backward, inclusive = position.backward, position.inclusive
        return [beyond_row(self._order(), position.values, self.model, backward=backward, inclusive=inclusive)]


def _sorted(rows: list[Values], column_key: str, key: SortKey, *, backward: bool) -> list[Values]:
    known = [values for values in rows if values[column_key] is not None]
    known.sort(key=lambda values: values[column_key], reverse=key.descending is not backward)
    absent = [values for values in rows if values[column_key] is None]
    return absent + known if backward else known + absent

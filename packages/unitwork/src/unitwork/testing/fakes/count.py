"""InMemoryCount: a count of rows in memory."""

from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import func, select

from unitwork.dao.builders.count import Count
from unitwork.rows.columns import ColumnName, column
from unitwork.testing.fakes.builder import InMemoryBuilder
from unitwork.testing.fakes.rows.values import Values
from unitwork.testing.fakes.session import fake

T = TypeVar("T")


@dataclass(frozen=True)
class InMemoryCount(InMemoryBuilder[T], Count[T]):
    """A count of rows in memory. `distinct` compares stored values."""

    async def rows(self) -> int:
        return len(await self._found())

    async def column(self, name: ColumnName) -> int:
        return len(await self._values(name))

    async def distinct(self, name: ColumnName) -> int:
        return len(set(await self._values(name)))

    async def _values(self, name: ColumnName) -> list[Any]:
        key = column(self.model, name).property.columns[0].key
        return [values[key] for values in await self._found() if values[key] is not None]

    async def _found(self) -> list[Values]:
        self.check_answered()
        statement = select(func.count()).select_from(self.model).where(*self.criteria)
        async with self.sessions.reading() as session:
            return await fake(session).found(self.model, self.criteria, statement)

"""InMemoryDelete: a delete of rows in memory."""

from dataclasses import dataclass
from typing import TypeVar

from unitwork.dao.builders.delete import Delete
from unitwork.testing.fakes.builder import InMemoryBuilder
from unitwork.testing.fakes.session import fake

T = TypeVar("T")


@dataclass(frozen=True)
class InMemoryDelete(InMemoryBuilder[T], Delete[T]):
    """A delete of rows in memory. It follows ON DELETE of the foreign keys that refer to the rows."""

    answered = InMemoryBuilder.answered | {"every_row"}

    async def execute(self) -> int:
        return len(await self.returning())

    async def returning(self) -> list[T]:
        self.check()
        self.check_answered()
        async with self.sessions.writing() as session:
            memory = fake(session)
            rows: list[T] = await memory.remove(self.model, self.criteria, self.statement)
            self._matched(len(rows))
            return rows

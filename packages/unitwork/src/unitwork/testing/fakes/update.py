"""InMemoryUpdate: an update of rows in memory."""

from dataclasses import dataclass
from typing import TypeVar

from unitwork.dao.builders.update import Update
from unitwork.testing.fakes.builder import InMemoryBuilder
from unitwork.testing.fakes.session import fake

T = TypeVar("T")


@dataclass(frozen=True)
class InMemoryUpdate(InMemoryBuilder[T], Update[T]):
    """An update of rows in memory. It applies `onupdate` defaults and stamps as the real one does."""

    answered = InMemoryBuilder.answered | {"values", "every_row"}

    async def execute(self) -> int:
        return len(await self.returning())

    async def returning(self) -> list[T]:
        self.check()
        self.check_answered()
        async with self.sessions.writing() as session:
            memory = fake(session)
            changed = await memory.change(self.model, self.criteria, self.changes, self.statement)
            self._matched(len(changed))
            return [memory.model(self.model, values, returned=True) for values in changed]

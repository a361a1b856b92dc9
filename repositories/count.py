"""Count: how many rows match."""

from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, func, select

from repositories.columns import ColumnName, column
from repositories.conditions import Conditions
from repositories.query import OpenSession

T = TypeVar("T")


@dataclass(frozen=True)
class Count(Conditions[T]):
    """Immutable; ends with `rows`, `column` or `distinct`, each an int."""

    open_session: OpenSession = field(kw_only=True)

    async def rows(self) -> int:
        """The rows that match."""
        return await self._run(func.count())

    async def column(self, name: ColumnName) -> int:
        """The rows that match and have a value in this column."""
        return await self._run(func.count(column(self.model, name)))

    async def distinct(self, name: ColumnName) -> int:
        """The different values of this column among the rows that match; NULL is none."""
        return await self._run(func.count(column(self.model, name).distinct()))

    async def _run(self, expression: ColumnElement[Any]) -> int:
        statement: Select[int] = select(expression).select_from(self.model).where(*self.criteria)
        async with self.open_session() as session:
            return int(await session.scalar(statement) or 0)

"""Delete: a DELETE over one model, which removes rows for good. For soft deletes see `BaseDao.soft_delete`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from sqlalchemy import ColumnElement, Dialect, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import Delete as DeleteStatement

from unitwork.dao.builders.write import Write
from unitwork.errors.query import UnconditionalDelete, UnconditionalWrite
from unitwork.models.soft_delete import INCLUDE_DELETED

T = TypeVar("T")


@dataclass(frozen=True)
class Delete(Write[T]):
    """A DELETE to build; run it by `execute` or `returning`."""

    unconditional: ClassVar[type[UnconditionalWrite]] = UnconditionalDelete

    def changing(self, criteria: Sequence[ColumnElement[bool]]) -> DeleteStatement:
        return delete(self.model).where(*criteria)

    def returns(self, dialect: Dialect) -> bool:
        return dialect.delete_returning

    async def locked(self, session: AsyncSession, criteria: Sequence[ColumnElement[bool]]) -> list[T]:
        read = select(self.model).where(*criteria).order_by(*self._key()).with_for_update(of=self.model)
        options = {"populate_existing": not self.has_unsent_changes(session), INCLUDE_DELETED: True}
        rows = list((await session.scalars(read, execution_options=options)).unique().all())
        if rows:
            dialect = self.sessions.dialect_of(session).name
            these = self.by_key([[getattr(row, key.key) for key in self._key()] for row in rows], dialect)
            await session.execute(self.changing([these]), execution_options={INCLUDE_DELETED: True})
        return rows

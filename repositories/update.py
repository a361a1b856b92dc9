"""Update: an UPDATE over one model. Stamps `updated_at`, `updated_by` and `version` as a flush does."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeVar, cast

from sqlalchemy import CursorResult, inspect, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstanceState
from sqlalchemy.sql.dml import Update as UpdateStatement

from repositories.columns import ColumnName, column
from repositories.conditions import Conditions
from repositories.errors import UnconditionalUpdate
from repositories.query import OpenSession

T = TypeVar("T")


@dataclass(frozen=True)
class Update(Conditions[T]):
    """Immutable; `.statement` is the SQLAlchemy statement it stands for. Refuses to run without a condition
    unless told `.all_rows()`; soft-deleted rows are left alone unless `include_deleted`.
    """

    open_session: OpenSession = field(kw_only=True)
    values: Mapping[str, Any] = field(default_factory=dict)
    every_row: bool = False

    def set(self, **values: Any) -> Self:
        """New values by column name; SQL expressions are welcome. Raises `UnknownColumn`."""
        for name in values:
            column(self.model, name)
        return replace(self, values={**self.values, **values})

    def increment(self, name: ColumnName, by: int = 1) -> Self:
        """Add to a column in the database, where two increments at once both count."""
        attribute = column(self.model, name)
        return replace(self, values={**self.values, attribute.key: attribute + by})

    def all_rows(self) -> Self:
        """Every row is meant."""
        return replace(self, every_row=True)

    @property
    def statement(self) -> UpdateStatement:
        """Raises `UnconditionalUpdate` without a condition, ValueError without a value to set."""
        if not self.conditions and not self.every_row:
            raise UnconditionalUpdate(self.model.__name__)
        if not self.values:
            msg = "this update sets nothing; say .set(column=value)"
            raise ValueError(msg)
        return update(self.model).where(*self.criteria).values(dict(self.values))

    async def execute(self) -> int:
        """Run it; the number of rows matched."""
        async with self.open_session() as session:
            held = len(session.identity_map) > 0
            # With nothing held there is nothing to keep in step, which may take a SELECT of its own.
            statement = self.statement.execution_options(synchronize_session="auto" if held else False)
            result = cast("CursorResult[Any]", await session.execute(statement))
            if held:
                await self._reload(session)
            return result.rowcount

    async def _reload(self, session: AsyncSession) -> None:
        """Read what SQLAlchemy could only mark as changed (the stamps, SQL expressions) on rows the session holds: a
        later look at them could not.
        """
        states: list[InstanceState[Any]] = [inspect(row) for row in session if isinstance(row, self.model)]
        stale = [state.identity[0] for state in states if state.expired_attributes and state.identity]
        if stale:
            await session.execute(select(self.model).where(column(self.model, "id").in_(stale)))

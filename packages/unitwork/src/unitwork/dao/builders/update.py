"""Update: an UPDATE over one model. Sets `updated_at`, `updated_by` and `version` as a flush does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from sqlalchemy import ColumnElement, Dialect, inspect, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstanceState
from sqlalchemy.sql import operators
from sqlalchemy.sql.dml import Update as UpdateStatement

from unitwork.dao.builders.conditions import changed
from unitwork.dao.builders.write import Write
from unitwork.dao.statements.autocommit_write import AutocommitChanges
from unitwork.dao.statements.comparison import is_sql
from unitwork.errors.query import UnconditionalUpdate, UnconditionalWrite, VersionIsCounted
from unitwork.models.derived_columns import keys_of
from unitwork.models.soft_delete import INCLUDE_DELETED
from unitwork.rows.columns import ColumnName, column, version_key

T = TypeVar("T")


class Increment(NamedTuple):
    """An amount that the database adds to a column's value."""

    by: Any


@dataclass(frozen=True)
class Update(Write[T]):
    """An UPDATE to build by `set` and `increment`; run it by `execute` or `returning`."""

    values: Mapping[str, Any] = field(default_factory=dict)

    unconditional: ClassVar[type[UnconditionalWrite]] = UnconditionalUpdate

    def set(self, **values: Any) -> Self:
        """Set columns by name to values or SQL expressions.

        Columns derived from one that is set are set with it (`unitwork.models.derived_columns`). Raises
        `UnknownColumn`, `VersionIsCounted` for the version column, and `KeyNeedsText`.
        """
        for name in values:
            self._check_settable(name)
        return changed(self, values={**self.values, **values, **keys_of(self.model, values)})

    def increment(self, name: ColumnName, by: Any = 1) -> Self:
        """Add to a column in the database, so that concurrent increments all count. Raises as `set` does."""
        return changed(self, values={**self.values, self._check_settable(name): Increment(by)})

    @property
    def changes(self) -> dict[str, Any]:
        """The values and expressions to be set, by column name."""
        return {
            name: getattr(self.model, name) + value.by if isinstance(value, Increment) else value
            for name, value in self.values.items()
        }

    @property
    def autocommit_changes(self) -> AutocommitChanges | None:
        columns = [(name, isinstance(value, Increment)) for name, value in self.values.items()]
        values = [value.by if isinstance(value, Increment) else value for value in self.values.values()]
        if any(map(is_sql, values)) or any(adds and not self._of_its_type(name) for name, adds in columns):
            return None
        return AutocommitChanges(tuple(columns), values)

    def _of_its_type(self, name: str) -> bool:
        """True if the amount has the column's own type: numbers do, an interval added to a date doesn't."""
        type_: Any = getattr(self.model, name).type
        return type_.coerce_compared_value(operators.add, self.values[name].by) is type_

    def check(self) -> None:
        super().check()
        if not self.values:
            msg = "this update sets nothing; say .set(column=value)"
            raise ValueError(msg)

    def changing(self, criteria: Sequence[ColumnElement[bool]]) -> UpdateStatement:
        return update(self.model).where(*criteria).values(self.changes)

    def returns(self, dialect: Dialect) -> bool:
        return dialect.update_returning

    async def locked(self, session: AsyncSession, criteria: Sequence[ColumnElement[bool]]) -> list[T]:
        found = (await session.execute(self.selecting_keys(criteria).with_for_update())).all()
        if not found:
            return []
        these = self.by_key(found, self.sessions.dialect_of(session).name)
        unsent = self.has_unsent_changes(session)
        options = {"synchronize_session": "auto" if unsent else False, INCLUDE_DELETED: True}
        await session.execute(self.changing([these]), execution_options=options)
        read = select(self.model).where(these).order_by(*self._key())
        options = {"populate_existing": not unsent, INCLUDE_DELETED: True}
        rows = list((await session.scalars(read, execution_options=options)).unique().all())
        if unsent:
            await self.after_execution(session)
        return rows

    async def after_execution(self, session: AsyncSession) -> None:
        """Reload the attributes that the UPDATE changed in the database (stamps, SQL expressions) on rows the session
        holds.

        SQLAlchemy only expires them, and an expired attribute can't be loaded lazily in asyncio.
        """
        states: list[InstanceState[Any]] = [inspect(row) for row in session if isinstance(row, self.model)]
        stale = [state.identity for state in states if state.expired_attributes and state.identity]
        if stale:
            dialect = self.sessions.dialect_of(session).name
            await session.execute(
                select(self.model).where(self.by_key(stale, dialect)).execution_options(**{INCLUDE_DELETED: True})
            )

    def _check_settable(self, name: ColumnName) -> str:
        attribute = column(self.model, name)
        model: Any = self.model
        if attribute.key == version_key(model):
            raise VersionIsCounted(self.model.__name__)
        return attribute.key

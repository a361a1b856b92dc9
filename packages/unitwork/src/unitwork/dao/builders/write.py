"""Write: the base of `Update` and `Delete`. Neither runs without a condition unless `.all_rows()` is called."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeVar, cast

from sqlalchemy import ColumnElement, CursorResult, Dialect, Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import Delete as DeleteStatement
from sqlalchemy.sql.dml import Update as UpdateStatement

from unitwork.dao.builders.conditions import Conditions, changed
from unitwork.dao.statements.autocommit_write import AutocommitChanges, AutocommitWrite, WriteShape, autocommit_write
from unitwork.dao.statements.eager import loads_beside, loads_collections
from unitwork.dao.statements.selection import primary_key
from unitwork.errors import StaleVersion
from unitwork.errors.query import UnconditionalWrite
from unitwork.models.audited import Audited
from unitwork.models.soft_delete import INCLUDE_DELETED, NOT_DELETED
from unitwork.rows.instances import instance_plan
from unitwork.transactions.session_source import SessionSource

T = TypeVar("T")


@dataclass(frozen=True)
class Write(Conditions[T]):
    """A write to build; immutable. `.statement` is the SQLAlchemy statement it would send.

    Soft-deleted rows are excluded unless `include_deleted`. A write with conditions on the id and `version` raises
    `StaleVersion` when the row no longer has that version.
    """

    sessions: SessionSource = field(kw_only=True)
    every_row: bool = False

    ends = ".execute() or .returning()"
    unconditional: ClassVar[type[UnconditionalWrite]]

    def all_rows(self) -> Self:
        """Allow the write to affect every row."""
        return changed(self, every_row=True)

    def changing(self, criteria: Sequence[ColumnElement[bool]]) -> UpdateStatement | DeleteStatement:
        """Return the statement for the rows that meet these criteria."""
        raise NotImplementedError

    def returns(self, dialect: Dialect) -> bool:
        """True if the database supports RETURNING for this statement."""
        raise NotImplementedError

    @property
    def statement(self) -> UpdateStatement | DeleteStatement:
        """The statement. Raises `UnconditionalUpdate` or `UnconditionalDelete` without a condition."""
        self.check()
        statement: UpdateStatement | DeleteStatement = self._statement_for(None)
        return statement

    def check(self) -> None:
        """Raise the error that keeps the write from being run, if there is one."""
        if not self.conditions and not self.every_row:
            raise self.unconditional(self.model.__name__)

    @property
    def autocommit_changes(self) -> AutocommitChanges | None:
        """The changes of a write that can be sent without a session; None if some values are expressions."""
        return AutocommitChanges(None, [])

    async def execute(self) -> int:
        """Run the write and return the number of rows matched. Raises `StaleVersion`."""
        self.check()
        if (autocommit := self._autocommit(returning=False)) is not None:
            return self._matched(
                (await self.sessions.send_autocommit(autocommit.statement, autocommit.parameters)).matched
            )
        async with self.sessions.writing(several=issubclass(self.model, Audited)) as session:
            statement = self._statement_for(self.sessions.dialect_of(session).name)
            result = cast("CursorResult[Any]", await session.execute(statement, execution_options=_in_step(session)))
            await self.after_execution(session)
            return self._matched(result.rowcount)

    async def returning(self) -> list[T]:
        """Run the write and return the rows afterwards (for a delete: before), in the order of the primary key.

        Without RETURNING in the database, rows are locked, changed and read in one transaction. Raises `StaleVersion`.
        """
        self.check()
        dialect, loads = self.sessions.dialect, loads_beside(self.model) or loads_collections(self.model)
        alone = not loads and not issubclass(self.model, Audited) and (dialect is None or self.returns(dialect))
        if (
            dialect is not None
            and self.returns(dialect)
            and (autocommit := self._autocommit(returning=True)) is not None
        ):
            answer = await self.sessions.send_autocommit(autocommit.statement, autocommit.parameters)
            self._matched(len(answer.rows))
            return self._in_order(autocommit.plan.instances(answer.rows))
        async with self.sessions.writing(several=not alone) as session:
            dialect = self.sessions.dialect_of(session)
            if self.returns(dialect) and not loads:
                unsent = self.has_unsent_changes(session)
                options = _in_step(session) | {"populate_existing": not unsent}
                statement = self._statement_for(dialect.name).returning(self.model)
                rows = self._in_order(list((await session.scalars(statement, execution_options=options)).all()))
                if unsent:
                    await self.after_execution(session)
            else:
                rows = await self.locked(
                    session, self.conditions_for(self.dialect_name(dialect.name)) + self.soft_delete_filter()
                )
            self._matched(len(rows))
            return rows

    async def locked(self, session: AsyncSession, criteria: Sequence[ColumnElement[bool]]) -> list[T]:
        """Lock, write and read in three statements; the read comes first or last."""
        raise NotImplementedError

    def has_unsent_changes(self, session: AsyncSession) -> bool:
        """True if the session holds changes of these rows that this statement neither flushes first nor may discard."""
        return not session.autoflush and any(isinstance(row, self.model) for row in session.dirty)

    async def after_execution(self, session: AsyncSession) -> None:
        """Bring the session's models in step after the statement has run; overridden by `Update`."""

    def _in_order(self, rows: list[T]) -> list[T]:
        rows.sort(key=lambda row: [getattr(row, name) for name in primary_key(self.model)])
        return rows

    def _autocommit(self, *, returning: bool) -> AutocommitWrite | None:
        """Return the statement to send without a session; None if it needs one (in a block, for expressions, for
        audited models).
        """
        alone, plan = self.sessions.autocommit_dialect(), instance_plan(self.model)
        shapes, changes = self.shapes, self.autocommit_changes
        if alone is None or plan is None or shapes is None or changes is None or issubclass(self.model, Audited):
            return None
        shape = WriteShape(
            self.model, self.dialect_name(alone), shapes, self.include_deleted, changes.columns, returning
        )
        parameters = self.parameters() | {f"v{place}": value for place, value in enumerate(changes.values)}
        return AutocommitWrite(autocommit_write(shape), parameters, plan)

    def _statement_for(self, dialect: str | None) -> Any:
        statement = self.changing(
            self.conditions_for(dialect and self.dialect_name(dialect)) + self.soft_delete_filter()
        )
        if self.shapes is None and not self.include_deleted:
            return statement.options(NOT_DELETED)  # applies to subqueries in the caller's expressions
        return statement

    def _matched(self, rows: int) -> int:
        if not rows and self.versioned():
            raise StaleVersion
        return rows

    def by_key(self, keys: Sequence[Any], dialect: str) -> ColumnElement[bool]:
        """Return the condition that selects the rows with these keys."""
        names = primary_key(self.model)
        if len(names) > 1:
            return tuple_(*self._key()).in_([tuple(key) for key in keys])
        these = Conditions(self.model).in_(names[0], [key[0] for key in keys])
        return these.conditions_for(these.dialect_name(dialect))[0]

    def selecting_keys(self, criteria: Sequence[ColumnElement[bool]]) -> Select[Any]:
        return select(*self._key()).where(*criteria).execution_options(**{INCLUDE_DELETED: True})

    def _key(self) -> list[Any]:
        return [getattr(self.model, name) for name in primary_key(self.model)]


def _in_step(session: AsyncSession) -> dict[str, Any]:
    """Skip synchronization if the session holds no models: it may take a SELECT of its own."""
    held = len(session.identity_map) > 0
    return {"synchronize_session": "auto" if held else False, INCLUDE_DELETED: True}

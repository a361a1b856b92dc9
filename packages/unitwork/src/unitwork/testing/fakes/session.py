"""FakeSession: a session without a connection. It answers what memory can; SQL raises `NotFaked`."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, cast

from sqlalchemy.exc import ResourceClosedError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.expression import Executable

from unitwork.errors import DriverError, LockNotAvailable, ReadOnlyTransaction, TransactionRolledBack
from unitwork.sessions.guarded_session import GuardedSession
from unitwork.sessions.session import ProvidedSession
from unitwork.testing.fakes.errors import NotAFakeSession, NotFaked
from unitwork.testing.fakes.flush import Mark, UnboundSession
from unitwork.testing.fakes.rows.defaults import changed_values, update_defaults
from unitwork.testing.fakes.rows.expressions import Row, check_faked, matches
from unitwork.testing.fakes.rows.references import check_references
from unitwork.testing.fakes.rows.table import StoredTable
from unitwork.testing.fakes.rows.values import Values


class MemorySession(GuardedSession, UnboundSession):
    """The synchronous session inside, with the usual guards and no database."""

    def guard(self, statement: Executable | None = None) -> None:
        """Raise what a guarded session raises before a statement: used by another task, ended, doomed, or read-only."""
        self.answering = True
        try:
            self.get_bind(clause=statement)
        finally:
            self.answering = False

    def flush(self, objects: Any = None) -> None:
        if self.pending():
            self.guard()
        super().flush(objects)


class FakeSession(ProvidedSession):
    """A session of a `FakeSessionProvider`. In-memory builders call `found`, `change` and `remove`."""

    sync_session_class = MemorySession

    @property
    def memory(self) -> MemorySession:
        """The synchronous session inside."""
        return cast("MemorySession", self.sync_session)

    async def flush(self, objects: Sequence[Any] | None = None) -> None:
        """Flush as SQLAlchemy does, after waiting for other units that write."""
        memory = self.memory
        memory.unit.check_use()
        if memory.pending() and not memory.unit.refuses_writes:
            await self.take_turn()
        await super().flush(objects)

    async def take_turn(self) -> None:
        """Exclude other writers until the unit ends. Raises `ReadOnlyTransaction`, `LockNotAvailable`."""
        memory = self.memory
        try:
            if memory.unit.read_only:
                raise ReadOnlyTransaction
            await memory.view.store.take_turn(memory.view)
        except (ReadOnlyTransaction, LockNotAvailable) as error:
            memory.unit.failed(error, connection_lost=False)
            raise

    def table(self, model: type[Any]) -> StoredTable:
        """Return the model's table in the store. Raises `NotFaked`."""
        return self.memory.view.store.table(model)

    async def found(self, model: type[Any], criteria: Sequence[Any], statement: Executable) -> list[Values]:
        """Return the stored rows that meet the criteria, by primary key. `statement` is the one a database would get;
        the session's guards check it.
        """
        table = self.table(model)
        check_faked(criteria, table.table)
        if self.memory.autoflush:
            await self.flush()
        self.memory.guard(statement)
        rows = sorted(self.memory.view.rows(table.table).items())
        return [values for _, values in rows if matches(criteria, Row(table.table, values))]

    def model(self, model: type[Any], values: Values, *, returned: bool = False) -> Any:
        """Return the model of a found row, the same object while it is referenced. If a statement that changes rows has
        `returned` it, mapped SQL expressions stay unloaded.
        """
        self.memory.unit.check_use()
        table = self.table(model)
        row = self.memory.model(table, values)
        if returned:
            table.expire_calculated(row)
        return row

    def read_again(self, model: type[Any]) -> None:
        """Overwrite the session's models of this class with the stored values, as reloading their rows does."""
        table, memory = self.table(model), self.memory
        for row in [row for row in memory if isinstance(row, model)]:
            memory.load(table, row)

    async def change(
        self, model: type[Any], criteria: Sequence[Any], changes: Mapping[str, Any], statement: Executable
    ) -> list[Values]:
        """Set values or expressions, by attribute, on the rows that meet the criteria, all or none; return the rows
        afterwards. Raises `ConstraintViolation`.
        """
        table, memory = self.table(model), self.memory
        by_column = {table.columns[name].key: value for name, value in changes.items()}
        if by_column.keys() & set(table.primary):
            raise NotFaked(f"changing the primary key of a {model.__name__}")
        if not memory.unit.refuses_writes:
            await self.take_turn()
        found = await self.found(model, criteria, statement)
        everything = update_defaults(table, by_column, memory.generators) | by_column
        changed_values(table, dict.fromkeys(table.table.columns.keys()), everything)  # raises NotFaked
        with self._all_or_none():
            self._write(table, found, everything)
        for values in found:
            memory.refresh_held(table, table.identity(values), everything)
        after = [memory.view.get(table.table, table.identity(values)) for values in found]
        memory.statement_done()
        return [values for values in after if values is not None]

    async def remove(self, model: type[Any], criteria: Sequence[Any], statement: Executable) -> list[Any]:
        """Delete the rows that meet the criteria, all or none; return their models. Raises `ForeignKeyViolation`."""
        table, memory = self.table(model), self.memory
        if not memory.unit.refuses_writes:
            await self.take_turn()
        found = await self.found(model, criteria, statement)
        with self._all_or_none():
            check_references(memory.view, [], list(memory.remove(table, found)))
        rows = [self.model(model, values, returned=True) for values in found]
        for row in rows:
            memory.note("deleted", row)
            memory.expunge(row)
        memory.statement_done()
        return rows

    @contextmanager
    def _all_or_none(self) -> Iterator[None]:
        """Undo the writes of a statement that violates a constraint, which also dooms its transaction or savepoint."""
        memory = self.memory
        before = memory.mark()
        try:
            yield
        except DriverError as error:
            memory.view.restore(before.written)
            memory.unit.failed(error, connection_lost=False)
            raise

    def _write(self, table: StoredTable, rows: Sequence[Values], changes: Mapping[str, Any]) -> None:
        view = self.memory.view
        for values in rows:
            view.update(table, table.identity(values), changed_values(table, values, changes))
        check_references(view, [(table.table, table.identity(values)) for values in rows], [])

    def begin_nested(self) -> "FakeSavepoint":  # type: ignore[override]  # the part of SQLAlchemy's class in use
        """Return a savepoint, to await or to enter."""
        return FakeSavepoint(self)


class FakeSavepoint:
    """A savepoint. Its rollback undoes the writes since its start; an error inside dooms only the savepoint."""

    def __init__(self, session: FakeSession) -> None:
        self._session = session
        self._mark: Mark | None = None
        self._name = f"memory_{id(self)}"

    @property
    def is_active(self) -> bool:
        """True from `start` until the savepoint ends."""
        return self._mark is not None and self._mark in self._session.memory.marks

    async def start(self) -> Self:
        """Start the savepoint (SAVEPOINT)."""
        memory = self._session.memory
        await self._session.flush()
        memory.guard()
        self._mark = memory.mark()
        memory.marks.append(self._mark)
        memory.unit.push(self._name)
        return self

    async def commit(self) -> None:
        """Release the savepoint (RELEASE). Raises `TransactionRolledBack` if an error inside it was caught."""
        mark, memory = self._open(), self._session.memory
        if memory.unit.top.doomed:
            released = memory.unit.frames.pop()
            memory.unit.top.doom(released.doomed_by)
            raise TransactionRolledBack from released.cause
        await self._session.flush()
        place = memory.marks.index(mark)
        memory.release(memory.marks[place - 1])
        del memory.marks[place:]
        memory.unit.pop_released()

    async def rollback(self) -> None:
        """Roll back to the savepoint (ROLLBACK TO)."""
        mark, memory = self._open(), self._session.memory
        memory.undo(mark)
        del memory.marks[memory.marks.index(mark) :]
        if any(frame.savepoint == self._name for frame in memory.unit.frames):
            memory.unit.pop_rolled_back(self._name)

    def __await__(self) -> Generator[Any, None, Self]:
        return self.start().__await__()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.is_active and kind is None:
                await self.commit()
        finally:
            if self.is_active:
                await self.rollback()

    def _open(self) -> Mark:
        if self._mark is None or self._mark not in self._session.memory.marks:
            msg = "this savepoint has ended"
            raise ResourceClosedError(msg)
        return self._mark


def fake(session: AsyncSession) -> FakeSession:
    """Return the session if it is a fake. Raises `NotAFakeSession` otherwise."""
    if not isinstance(session, FakeSession):
        raise NotAFakeSession
    return session

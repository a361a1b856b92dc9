"""BesideSession: a session separate from the code under test, to arrange its data and to assert its effects."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from sqlalchemy import CompoundSelect, Select, TextClause
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from unitwork.errors import StaleVersion, TransactionIsOurs
from unitwork.sessions.session_factory import SessionFactory
from unitwork.testing.errors import CallNeedsBlock
from unitwork.testing.isolation.pool import IsolatedPool
from unitwork.testing.isolation.session_provider import IsolatedSessionProvider, refuse_second_unit
from unitwork.transactions.block_options import BlockOptions
from unitwork.transactions.session_provider import EngineSessionProvider
from unitwork.transactions.unit_block import one_writer

T = TypeVar("T")
_READS: Final = re.compile(r"\s*(SELECT|VALUES|EXPLAIN)\b", re.IGNORECASE)


class _CallSession(Session):
    """The synchronous session inside. It uses the database only during a call, on that call's connection."""

    def get_bind(self, *arguments: Any, **options: Any) -> Any:
        if self.bind is None:
            raise CallNeedsBlock("a lazy load")
        return self.bind

    def flush(self, objects: Any = None) -> None:
        try:
            super().flush(objects)
        except StaleDataError as error:
            raise StaleVersion from error


class BesideSession(AsyncSession):
    """A session in which each awaited call is a unit of its own.

    Its writes are visible to the code under test at once, its reads are fresh, and the connection is returned after
    each call. `begin_nested` keeps the connection for a block. Added objects are stored by the next call, which may be
    `commit`. An error rolls the call back and expires what was loaded. Raises `NeedsOwnDatabase` inside an open
    transaction of an isolated test.
    """

    sync_session_class = _CallSession

    def __init__(self, factory: SessionFactory) -> None:
        engine = self._engine = factory.engine()
        kind = IsolatedSessionProvider if isinstance(engine.pool, IsolatedPool) else EngineSessionProvider
        self._provider = kind(factory)
        self._blocks = 0
        self._unit = AsyncExitStack()
        super().__init__(
            expire_on_commit=False,
            join_transaction_mode="rollback_only",  # a commit is the unit's
            execution_options={**factory.prepare(engine).options, "populate_existing": True},
        )

    async def execute(self, statement: Any, *arguments: Any, **options: Any) -> Any:
        return await self._call(lambda: super(BesideSession, self).execute(statement, *arguments, **options), statement)

    async def scalar(self, statement: Any, *arguments: Any, **options: Any) -> Any:
        return await self._call(lambda: super(BesideSession, self).scalar(statement, *arguments, **options), statement)

    async def scalars(self, statement: Any, *arguments: Any, **options: Any) -> Any:
        return await self._call(lambda: super(BesideSession, self).scalars(statement, *arguments, **options), statement)

    async def get(self, *arguments: Any, **options: Any) -> Any:
        return await self._load(super().get, *arguments, **options)

    async def get_one(self, *arguments: Any, **options: Any) -> Any:
        return await self._load(super().get_one, *arguments, **options)

    async def _load(self, get: Callable[..., Awaitable[T]], *arguments: Any, **options: Any) -> T:
        async def flushed() -> T:
            await super(BesideSession, self).flush()  # fresh rows must not overwrite changes
            return await get(*arguments, **{"populate_existing": True} | options)

        return await self._call(flushed, reads=True)

    async def refresh(self, *arguments: Any, **options: Any) -> None:
        await self._call(lambda: super(BesideSession, self).refresh(*arguments, **options), reads=True)

    async def delete(self, instance: object) -> None:
        await self._call(lambda: super(BesideSession, self).delete(instance))

    async def delete_all(self, instances: Iterable[object]) -> None:
        await self._call(lambda: super(BesideSession, self).delete_all(instances))

    async def merge(self, instance: Any, **options: Any) -> Any:
        return await self._call(lambda: super(BesideSession, self).merge(instance, **options))

    async def merge_all(self, instances: Iterable[Any], **options: Any) -> Any:
        return await self._call(lambda: super(BesideSession, self).merge_all(instances, **options))

    async def run_sync(self, fn: Callable[..., T], *arguments: Any, **options: Any) -> T:
        return await self._call(lambda: super(BesideSession, self).run_sync(fn, *arguments, **options))

    async def flush(self, objects: Any = None) -> None:
        """Do the same as `commit`, unless inside a block."""
        await self._call(lambda: super(BesideSession, self).flush(objects))

    async def commit(self) -> None:
        self._only_outside("commit")
        await self.flush()

    async def rollback(self) -> None:
        """Discard added objects that aren't stored yet."""
        self._only_outside("rollback")
        await super().rollback()

    async def stream(self, *arguments: Any, **options: Any) -> Any:
        self._only_inside("stream")
        return await super().stream(*arguments, **options)

    async def stream_scalars(self, *arguments: Any, **options: Any) -> Any:
        self._only_inside("stream_scalars")
        return await super().stream_scalars(*arguments, **options)

    async def connection(self, *arguments: Any, **options: Any) -> Any:
        self._only_inside("connection")
        return await super().connection(*arguments, **options)

    def begin(self) -> "_Block":
        return _Block(self)

    def begin_nested(self) -> "_Block":
        return _Block(self, nested=True)

    async def _call(self, work: Callable[[], Awaitable[T]], statement: object = None, *, reads: bool = False) -> T:
        if self._held:
            return await work()
        async with self._one_call(reads=(reads or _reads(statement)) and not (self.new or self.dirty or self.deleted)):
            return await work()

    @property
    def _held(self) -> bool:
        return self.sync_session.bind is not None

    async def enter(self, *, reads: bool = False) -> None:
        """Begin a unit. Inside one of the test's units it raises `NeedsOwnDatabase`, or on SQLite
        `SecondWriterImpossible`.
        """
        alone = one_writer(self._engine)
        if isinstance(self._engine.pool, IsolatedPool):
            refuse_second_unit(self._engine, instead="Use that block's `tx.session`")
        elif alone and not reads:
            self._provider.refuse_second_writer(own_task_only=False)
        unit = self._provider.unit(BlockOptions(name="the session fixture", read_only=reads and alone, ambiently=False))
        transaction = await self._unit.enter_async_context(unit)
        try:
            connection = await transaction.session.connection()
        except BaseException as error:
            await self._unit.__aexit__(type(error), error, error.__traceback__)
            raise
        self.sync_session.bind = connection.sync_connection

    async def leave(self, error: BaseException | None = None) -> None:
        """End the unit: commit it, or roll it back if there is an error."""
        try:
            await (super().commit() if error is None else super().rollback())
        except BaseException as late:
            await super().rollback()
            error = late
            raise
        finally:
            self.sync_session.bind = None
            await self._unit.__aexit__(type(error) if error else None, error, None)

    @asynccontextmanager
    async def _one_call(self, *, reads: bool) -> AsyncIterator[None]:
        await self.enter(reads=reads)
        try:
            yield
        except BaseException as error:
            await self.leave(error)
            raise
        await self.leave()

    async def enter_block(self) -> None:
        """Keep the connection until `leave_block`."""
        if not self._blocks:
            await self.enter()
        self._blocks += 1

    async def leave_block(self, error: BaseException | None = None) -> None:
        """End a block; the outermost one commits and returns the connection."""
        self._blocks -= 1
        if not self._blocks:
            await self.leave(error)

    def _only_outside(self, method: str) -> None:
        if self._blocks:
            raise TransactionIsOurs(method)

    def _only_inside(self, method: str) -> None:
        if not self._held:
            raise CallNeedsBlock(f"`{method}`")


class _Block(AsyncSessionTransaction):
    """A block of a `BesideSession`; the outermost one is a unit."""

    session: BesideSession
    _inside = False

    async def start(self, is_ctxmanager: bool = False) -> Self:
        await self.session.enter_block()
        self._inside = True
        try:
            await super().start(is_ctxmanager)
        except BaseException as error:
            await self._leave(error)
            raise
        return self

    async def commit(self) -> None:
        await self._end(super().commit())

    async def rollback(self) -> None:
        await self._end(super().rollback())

    async def __aexit__(
        self, type_: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._end(super().__aexit__(type_, value, traceback))

    async def _end(self, work: Awaitable[None]) -> None:
        try:
            await work
        except BaseException as error:
            await self._leave(error)
            raise
        await self._leave()

    async def _leave(self, error: BaseException | None = None) -> None:
        if self._inside:
            self._inside = False
            await self.session.leave_block(error)


def _reads(statement: object) -> bool:
    if isinstance(statement, TextClause):
        return _READS.match(statement.text) is not None
    return isinstance(statement, Select | CompoundSelect)

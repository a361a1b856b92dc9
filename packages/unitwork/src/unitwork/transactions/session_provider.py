"""EngineSessionProvider: the session provider of an engine."""

from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any

from sqlalchemy import Dialect, Executable
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from unitwork.connections.compiled_statements import Answer
from unitwork.errors import SecondWriterImpossible
from unitwork.sessions import read_only as reading
from unitwork.sessions.autocommit_statement import send_autocommit
from unitwork.sessions.inside_statements import InsideStatements
from unitwork.sessions.session import inside_statements
from unitwork.sessions.session_factory import SessionFactory
from unitwork.transactions.block_options import BlockOptions
from unitwork.transactions.misuse import CalledFirst, EnteredByAsyncWith
from unitwork.transactions.session_source import Reads, SessionSource
from unitwork.transactions.transaction import Transaction, ambient, own_block
from unitwork.transactions.unit_block import UnitBlock, by_another_task, one_writer, open_writer


class EngineSessionProvider(CalledFirst, SessionSource):
    """Session provider of an engine.

    Inside a transaction of the same container it yields the ambient session, and leaves it open. Outside, the block is
    a unit of its own: BEGIN with the first statement, COMMIT at its normal end; otherwise ROLLBACK, and the exception
    is re-raised unchanged.
    """

    called = "session_provider"

    def __init__(self, factory: SessionFactory) -> None:
        self.factory = factory
        self._autocommit = _AutocommitReads(self)

    def __call__(self, *, autoflush: bool = True, read_only: bool = False) -> AbstractAsyncContextManager[AsyncSession]:
        return _SessionBlock(self, BlockOptions(read_only=read_only, autoflush=autoflush))

    def owner(self) -> AsyncEngine:
        """Return the engine in force."""
        return self.factory.engine()

    @property
    def dialect(self) -> Dialect:
        return self.factory.dialect()

    @property
    def one_writer(self) -> bool:
        return one_writer(self.owner())

    def unit(self, options: BlockOptions) -> AbstractAsyncContextManager[Transaction]:
        """Return a block with a transaction on its own connection or, if not `transactional`, with statements that
        commit one by one.

        Raises `TransactionTimeout`, and what `unitwork.transactions.ending.commit` raises.
        """
        return UnitBlock(self.factory, options)

    def own_session(self, options: BlockOptions) -> AbstractAsyncContextManager[AsyncSession]:
        # A single statement is judged by its text: no read-only transaction is needed for it.
        if options.autocommit:
            options = options._replace(read_only=False, reads=options.read_only)
        return _SessionOf(self.unit(options))

    def sends_autocommit(self) -> bool:
        return ambient.get() is None  # an enclosing block that has ended counts too

    def send_autocommit(self, statement: Executable, parameters: Mapping[str, Any]) -> Awaitable[Answer]:
        """Send one autocommit statement; see `unitwork.sessions.autocommit_statement`."""
        return send_autocommit(self.factory, statement, parameters)

    def reads(self) -> Reads | None:
        if ambient.get() is None:
            return self._autocommit
        inside = self.inside()
        return inside if inside is not None and inside.reading else None

    def inside(self) -> InsideStatements | None:
        block = own_block(self.owner)
        return None if block is None else inside_statements(block.session)

    def refuse_second_writer(self, *, own_task_only: bool) -> None:
        if ambient.get() is None:
            return  # fast path: nearly every statement has no block around it
        engine = self.owner()
        writer = open_writer(engine, own_task_only=own_task_only) if one_writer(engine) else None
        if writer is not None:
            raise SecondWriterImpossible(writer.call_site)

    def retried(self) -> None:
        self.factory.monitor.retried()


class _AutocommitReads:
    """Sender of SELECTs outside any block, each in a unit of its own."""

    session = None

    def __init__(self, provider: EngineSessionProvider) -> None:
        self._provider = provider

    @property
    def dialect(self) -> str:
        return self._provider.dialect.name

    def read(self, statement: Executable, parameters: Mapping[str, Any]) -> Awaitable[Answer]:
        return self._provider.send_autocommit(statement, parameters)


class _SessionOf(AbstractAsyncContextManager[AsyncSession]):
    """Block that yields the session of a unit. A class for the same reason as `UnitBlock`."""

    def __init__(self, unit: AbstractAsyncContextManager[Transaction]) -> None:
        self._unit = unit

    async def __aenter__(self) -> AsyncSession:
        return (await self._unit.__aenter__()).session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._unit.__aexit__(kind, error, traceback)


class _SessionBlock(EnteredByAsyncWith, AbstractAsyncContextManager[AsyncSession]):
    """Block that chooses on entry between joining and a unit of its own. A class for the same reason as `UnitBlock`."""

    def __init__(self, provider: EngineSessionProvider, options: BlockOptions) -> None:
        self._provider = provider
        self._options = options

    async def __aenter__(self) -> AsyncSession:
        block = own_block(self._provider.owner)
        self._inside: AbstractAsyncContextManager[object]
        if block is not None:
            self._inside = joined(block, self._options)
            await self._inside.__aenter__()
            return block.session
        self._inside = unit = self._provider.unit(self._options)
        return (await unit.__aenter__()).session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._inside.__aexit__(kind, error, traceback)


@asynccontextmanager
async def joined(block: Transaction, options: BlockOptions) -> AsyncIterator[None]:
    """Apply the options of a block inside another: no autoflush, no writes."""
    unit, session = block.unit, block.session
    if unit.third_party:
        yield
        return
    reads_only = options.read_only and not unit.read_only
    if reads_only:
        await session.flush()  # flush what was written before the read-only block
        unit.read_only_blocks += 1
    try:
        with flushing(session, autoflush=options.autoflush):
            yield
        if reads_only:
            await session.flush()  # refuse what was changed in it here, rather than let the outer block store it
    finally:
        if reads_only and not by_another_task(unit):
            unit.read_only_blocks -= 1
            if unit.read_only_engaged and not unit.read_only_blocks:
                await session.run_sync(reading.disengage, unit)


@contextmanager
def flushing(session: AsyncSession, *, autoflush: bool) -> Iterator[None]:
    """Switch autoflush off inside the block; with True the session stays as it is."""
    before = session.sync_session.autoflush
    session.sync_session.autoflush = before and autoflush
    try:
        yield
    finally:
        session.sync_session.autoflush = before

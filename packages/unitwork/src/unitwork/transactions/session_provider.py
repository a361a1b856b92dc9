"""EngineSessionProvider: the container's session provider, and how others get a session of any provider."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any

from sqlalchemy import Executable
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from unitwork.connections.compiled_statements import Answer
from unitwork.errors import SecondWriterImpossible
from unitwork.sessions import read_only as reading
from unitwork.sessions.autoflush import flushing
from unitwork.sessions.lone_statement import send_alone
from unitwork.sessions.session import SessionProvider
from unitwork.sessions.session_factory import SessionFactory
from unitwork.transactions.isolation import isolation_level
from unitwork.transactions.misuse import CalledFirst, EnteredByAsyncWith
from unitwork.transactions.transaction import Transaction, ambient, own_block
from unitwork.transactions.unit_block import UnitBlock, by_another_task, one_writer, open_writer
from unitwork.unit import Unit


class EngineSessionProvider(CalledFirst):
    """Inside a transaction of the same container it gives the ambient session, and leaves it open. Outside, the block
    is a unit of its own: BEGIN with the first statement, COMMIT at its normal end, ROLLBACK and the exception unchanged
    otherwise.
    """

    called = "session_provider"

    def __init__(self, factory: SessionFactory) -> None:
        self.factory = factory

    def owner(self) -> AsyncEngine:
        """What its transactions belong to: the engine in force."""
        return self.factory.engine()

    def __call__(self, *, autoflush: bool = True, read_only: bool = False) -> AbstractAsyncContextManager[AsyncSession]:
        return _SessionBlock(self, autoflush=autoflush, read_only=read_only)

    @property
    def dialect(self) -> str:
        """The name of the database's dialect."""
        return self.factory.dialect()

    @property
    def alone(self) -> bool:
        """Whether nothing is around a statement that were sent now, not even a block that has ended."""
        return ambient.get() is None

    async def send_alone(self, statement: Executable, parameters: Mapping[str, Any]) -> Answer:
        """The answer to one statement, which commits by itself, where there is nothing around it; see
        `unitwork.sessions.lone_statement`.
        """
        return await send_alone(self.factory, statement, parameters)

    def unit(
        self,
        *,
        autoflush: bool = True,
        read_only: bool = False,
        isolation: str | None = None,
        timeout: float | None = None,
        name: str | None = None,
        transactional: bool = True,
        lone: bool = False,
        ambiently: bool = True,
    ) -> AbstractAsyncContextManager[Transaction]:
        """A transaction on a connection of its own; or, not `transactional`, statements that commit one by one.

        Not `ambiently`, nothing joins it: for a block whose end its caller doesn't decide, as a generator's.
        Raises `TransactionTimeout`, and what `unitwork.transactions.ending.commit` raises.
        """
        unit = Unit(
            name=name,
            read_only=read_only,
            isolation=None if isolation is None else isolation_level(isolation),
            transactional=transactional,
            lone=lone,
        )
        return UnitBlock(self.factory, unit, autoflush=autoflush, timeout=timeout, ambiently=ambiently)

    def refuse_second_writer(self, *, own_task_only: bool) -> None:
        """Raises `SecondWriterImpossible` on SQLite when this task's chain has a read-write transaction open; that of
        the task it was started from counts too, unless `own_task_only`.
        """
        engine = self.owner()
        writer = open_writer(engine, own_task_only=own_task_only) if one_writer(engine) else None
        if writer is not None:
            raise SecondWriterImpossible(writer.place)


class _SessionBlock(EnteredByAsyncWith, AbstractAsyncContextManager[AsyncSession]):
    """Decides on entry whether it joins. A class for the same reason as `UnitBlock`."""

    def __init__(self, provider: EngineSessionProvider, *, autoflush: bool, read_only: bool) -> None:
        self._provider = provider
        self._autoflush = autoflush
        self._read_only = read_only

    async def __aenter__(self) -> AsyncSession:
        block = own_block(self._provider.owner)
        self._inside: AbstractAsyncContextManager[object]
        if block is not None:
            self._inside = joined(block, autoflush=self._autoflush, read_only=self._read_only)
            await self._inside.__aenter__()
            return block.session
        unit = self._provider.unit(autoflush=self._autoflush, read_only=self._read_only)
        self._inside = unit
        return (await unit.__aenter__()).session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._inside.__aexit__(kind, error, traceback)


@asynccontextmanager
async def joined(block: Transaction, *, autoflush: bool, read_only: bool) -> AsyncIterator[None]:
    """For the length of a block inside another: no autoflush, no writes, where that was asked for."""
    unit, session = block.unit, block.session
    if unit.foreign:
        yield
        return
    reads_only = read_only and not unit.read_only
    if reads_only:
        await session.flush()  # what was written before it may be written
        unit.read_only_blocks += 1
    try:
        with flushing(session, autoflush=autoflush):
            yield
        if reads_only:
            await session.flush()  # what was changed in it is refused here, not stored by the outer block
    finally:
        if reads_only and not by_another_task(unit):
            unit.read_only_blocks -= 1
            if unit.read_only_engaged and not unit.read_only_blocks:
                await session.run_sync(reading.disengage, unit)


def owner_of(session_provider: SessionProvider) -> Callable[[], object]:
    """Tells what a provider's transactions belong to: its container's engine, or the provider itself."""
    if isinstance(session_provider, EngineSessionProvider):
        return session_provider.owner
    return lambda: session_provider


@asynccontextmanager
async def session_of(
    session_provider: SessionProvider, *, read_only: bool = False, lone: bool = False, ambiently: bool = True
) -> AsyncIterator[AsyncSession]:
    """How a DAO gets a session: the ambient one of the provider's container, else a short one of its own.

    `read_only` and `lone` (one statement, which commits by itself) hold for the short one.
    """
    block = own_block(owner_of(session_provider))
    if block is not None:
        yield block.session
    elif isinstance(session_provider, EngineSessionProvider):
        async with session_provider.unit(
            read_only=read_only and not lone, transactional=not lone, lone=lone, ambiently=ambiently
        ) as transaction:
            yield transaction.session
    else:
        async with session_provider(read_only=read_only) as session:
            yield session

"""EngineSessionProvider: the container's session provider, and the units that blocks are made of."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from contextvars import Token
from functools import partial
from types import FrameType, TracebackType
from typing import Any, TypeVar
from weakref import ref

from sqlalchemy import Executable
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from database import ending
from database import read_only as reading
from database.abandonment import generators_of
from database.autoflush import flushing
from database.direct_statement import Answer
from database.errors import SecondWriterImpossible, TransactionTimeout
from database.isolation import isolation_level
from database.leased_ids import LeasedIds
from database.lone_statement import send_alone
from database.misuse import CalledFirst, EnteredByAsyncWith
from database.place import calling_place, calling_stack
from database.session import ProvidedSession, SessionProvider
from database.session_factory import SessionFactory
from database.teardown import tear_down, torn_down
from database.transaction import Transaction, ambient, leave, own_block
from database.unit import Unit

T = TypeVar("T")


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
        return self.factory.engine().dialect.name

    @property
    def alone(self) -> bool:
        """Whether nothing is around a statement that were sent now, not even a block that has ended."""
        return ambient.get() is None

    async def send_alone(self, statement: Executable, parameters: Mapping[str, Any]) -> Answer:
        """The answer to one statement, which commits by itself, where there is nothing around it; see
        `database.lone_statement`.
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
        Raises `TransactionTimeout`, and what `database.ending.commit` raises.
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


class UnitBlock(AbstractAsyncContextManager[Transaction]):
    """From the moment a unit is entered until it has ended and its hooks have run. Entered once.

    A class, as three generators in its place were a third of what the safety costs.
    """

    def __init__(
        self,
        factory: SessionFactory,
        unit: Unit,
        *,
        autoflush: bool,
        timeout: float | None,
        ambiently: bool,
        with_ids: bool = True,
    ) -> None:
        self._factory = factory
        self._unit = unit
        self._autoflush = autoflush
        self._timeout = timeout
        self._ambiently = ambiently
        self._with_ids = with_ids
        self._token: Token[Transaction | None] | None = None
        self._bound: AbstractAsyncContextManager[None] | None = None

    async def __aenter__(self) -> Transaction:
        unit, outer = self._unit, ambient.get()
        engine = self._factory.engine()
        if self._with_ids and not unit.read_only and not unit.lone:
            ids = self._factory.ids(engine)
            if isinstance(ids, LeasedIds) and not ids.ready:
                await ids.lease(engine, self._lease_block)
        generators: list[FrameType] = []
        unit.stack = stack = calling_stack(generators=generators)
        if generators:
            unit.generators = generators_of(generators)
        unit.enter(f"{stack[0][0]}:{stack[0][1]}" if stack else calling_place(), parent=_holder(outer, engine))
        if not unit.transactional and one_writer(engine):
            writer = open_writer(engine, own_task_only=False)
            unit.blocked_by = None if writer is None else writer.place
        self._session = session = self._factory(engine, unit, autoflush=self._autoflush)
        timeout = self._timeout
        if timeout is not None and not math.isinf(timeout):
            unit.deadline = asyncio.get_running_loop().time() + timeout
            self._bound = bounded(timeout, unit)
            await self._bound.__aenter__()
        self._outer, self._plans = outer, self._factory.plans(engine)
        session.info["transaction"] = transaction = Transaction(unit, unit.root, session, owner=engine, outer=outer)
        if self._ambiently:
            self._token = ambient.set(transaction)
        unit.watch = ref(self, partial(_dropped, session, self._factory))
        return transaction

    def _lease_block(self) -> "UnitBlock":
        """For a node lease: before this unit, never in it, as it must have committed when the first id is made."""
        unit = Unit(name="node lease")
        timeout = self._timeout
        return UnitBlock(self._factory, unit, autoflush=False, timeout=timeout, ambiently=False, with_ids=False)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        unit, failure = self._unit, error
        if unit.teardown is not None or _by_another_task(unit):
            await self._end_from_outside(error)
            return
        if self._bound is not None:
            try:
                await self._bound.__aexit__(kind, error, traceback)
            except BaseException as late:  # noqa: BLE001 - raised below, when the unit has ended
                failure = late
        try:
            try:
                if failure is None:
                    await ending.commit(self._session, unit, self._plans)
                else:
                    await ending.roll_back(self._session, unit, failure)
            finally:
                leave(self._token, self._outer)
        finally:
            try:
                if unit.root.after_commit or unit.root.after_rollback:
                    await ending.run_hooks(unit)
            finally:
                self._factory.left(unit)
        if failure is not error and failure is not None:
            raise failure

    async def _end_from_outside(self, error: BaseException | None) -> None:
        """By another task than the owner, or by an owner who comes too late: the unit is rolled back. Raises
        `SessionBelongsToAnotherTask`, or `SessionEnded` for the owner, at what would be a normal end of any work.
        """
        unit, session = self._unit, self._session
        worked = unit.statements > 0 or not session.clean
        if self._bound is not None:
            with suppress(TransactionTimeout):
                await self._bound.__aexit__(None, None, None)  # or it would cancel the owner's later work
        leave(self._token, self._outer)
        told = unit.belongs_to_another() if unit.opener is not asyncio.current_task() else unit.given_up()
        if not unit.ended:
            await torn_down(tear_down(session, unit, self._factory.left))
        if error is None and worked:
            raise told


def _by_another_task(unit: Unit) -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # the event loop has ended: nobody else is at work
        return False
    return not unit.mine()


def _dropped(session: ProvidedSession, factory: SessionFactory, _block: object) -> None:
    """The garbage collector has found a block that was not left. In any thread."""
    unit: Unit = session.sync_session.unit  # type: ignore[attr-defined]  # a GuardedSession
    if unit.ended or unit.teardown is not None or unit.task is None:
        return
    unit.abandoned = True
    with suppress(RuntimeError):  # the event loop is closed: the engine's disposal closes what is open
        unit.task.get_loop().call_soon_threadsafe(tear_down, session, unit, factory.left)


@asynccontextmanager
async def bounded(timeout: float | None, unit: Unit) -> AsyncIterator[None]:  # noqa: ASYNC109 - bounds the block
    """Raises `TransactionTimeout` when the block takes longer."""
    if timeout is None or math.isinf(timeout):
        yield
        return
    clock = asyncio.timeout(timeout)
    try:
        async with clock:
            yield
    except TimeoutError as error:
        if clock.expired():
            raise TransactionTimeout(timeout, unit.place) from error
        raise
    if clock.expired():
        # Somebody swallowed the cancellation; the time is over all the same.
        raise TransactionTimeout(timeout, unit.place)


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
        if reads_only and not _by_another_task(unit):
            unit.read_only_blocks -= 1
            if unit.read_only_engaged and not unit.read_only_blocks:
                await session.run_sync(reading.disengage, unit)


def open_writer(engine: AsyncEngine, *, own_task_only: bool) -> Unit | None:
    """The innermost open read-write transaction of the chain."""
    block = ambient.get()
    while block is not None:
        unit = block.unit
        if (
            block.owner is engine
            and unit.transactional
            and not unit.over
            and not unit.read_only
            and (unit.mine() or not own_task_only)
        ):
            return unit
        block = block.outer
    return None


def _holder(block: Transaction | None, engine: AsyncEngine) -> Unit | None:
    while block is not None:
        if block.owner is engine and block.unit.connected and not block.unit.over and block.unit.mine():
            return block.unit
        block = block.outer
    return None


def one_writer(engine: AsyncEngine) -> bool:
    """Whether the database has one writer at a time (SQLite)."""
    return engine.dialect.name == "sqlite"


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

"""UnitBlock: the block of a unit, from its entry until the unit has ended, whichever task ends it."""

import asyncio
import math
import sys
from contextlib import AbstractAsyncContextManager, suppress
from contextvars import Token
from functools import partial
from types import FrameType, TracebackType
from typing import Any
from weakref import ref

from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.backends.registry import backend_of
from unitwork.call_site import calling_site, calling_stack
from unitwork.deadline import bounded, time_left
from unitwork.errors import TransactionTimeout
from unitwork.sessions.session import ProvidedSession
from unitwork.sessions.session_factory import SessionFactory
from unitwork.transactions import ending
from unitwork.transactions.abandonment import generators_of
from unitwork.transactions.block_options import BlockOptions
from unitwork.transactions.routing import Routing
from unitwork.transactions.teardown import tear_down, torn_down
from unitwork.transactions.transaction import Transaction, ambient, leave
from unitwork.unit import Unit


class UnitBlock(AbstractAsyncContextManager[Transaction]):
    """Block of one unit, until it has ended and its hooks have run. Entered once.

    A class, because three nested generators cost a third of the unit's whole overhead.
    """

    def __init__(self, factory: SessionFactory, options: BlockOptions, *, prepares: bool = True) -> None:
        self._factory = factory
        self._options = options
        self._unit = Unit(
            name=options.name,
            read_only=options.read_only,
            isolation=options.isolation,
            transactional=options.transactional,
            autocommit=options.autocommit,
        )
        self._prepares = prepares
        self._token: Token[Transaction | None] | None = None
        self._bound: AbstractAsyncContextManager[None] | None = None
        self._routing: Routing | None = None

    async def __aenter__(self) -> Transaction:
        unit, outer = self._unit, ambient.get()
        engine = self._factory.engine()
        may_write = self._prepares and not unit.read_only and not unit.autocommit
        prepared = self._factory.prepare(engine, self._before_this if may_write else None)
        if prepared.due is not None:
            await prepared.due
        generators: list[FrameType] = []
        unit.stack = stack = calling_stack(generators=generators)
        if generators:
            unit.generators = generators_of(generators)
        unit.enter(f"{stack[0][0]}:{stack[0][1]}" if stack else calling_site(), parent=_holder(outer, engine))
        left = time_left(unit)
        if not unit.transactional and one_writer(engine):
            writer = open_writer(engine, own_task_only=False)
            unit.blocked_by = None if writer is None else writer.call_site
        replicas, bind, session = self._factory.replicas, engine, None
        if replicas is not None:
            self._routing = routing = Routing(self._factory, replicas, unit, self._options)
            behind_writer = outer is not None and open_writer(engine, own_task_only=False) is not None
            bind, session = await routing.choose(engine, prepared.options, writer=behind_writer)
        if session is None:
            session = self._factory(bind, unit, prepared.options, autoflush=self._options.autoflush)
        self._session = session
        timeout = self._options.timeout
        if left is not None:
            timeout = left if timeout is None else min(timeout, left)
        if timeout is not None and not math.isinf(timeout):
            unit.deadline = asyncio.get_running_loop().time() + timeout
            self._bound = bounded(timeout, unit)
            await self._bound.__aenter__()
        self._outer, self._plans = outer, self._factory.plans(bind)
        session.info["transaction"] = transaction = Transaction(unit, unit.root, session, owner=engine, outer=outer)
        if self._options.ambiently:
            self._token = ambient.set(transaction)
        unit.watch = ref(self, partial(_dropped, session, self._factory))
        if unit.task is not None:
            unit.on_task_done = partial(_owner_done, ref(self))
            unit.task.add_done_callback(unit.on_task_done)
        return transaction

    def owner_done(self) -> None:
        """Tear the unit down: its owner's task has ended without leaving the block."""
        if not self._unit.ended:
            tear_down(self._session, self._unit, self._factory.left)

    def _before_this(self, name: str) -> "UnitBlock":
        """Return a block for work that must commit before this unit begins: it may need the only connection."""
        options = BlockOptions(name=name, timeout=self._options.timeout, autoflush=False, ambiently=False)
        return UnitBlock(self._factory, options, prepares=False)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        unit, failure = self._unit, error
        if unit.teardown is not None or by_another_task(unit):
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
                if self._routing is not None:
                    self._routing.ended(failure or sys.exception())
        finally:
            try:
                if unit.root.after_commit or unit.root.after_rollback:
                    await ending.run_hooks(unit)
            finally:
                self._factory.left(unit)
        if failure is not error and failure is not None:
            raise failure

    async def _end_from_outside(self, error: BaseException | None) -> None:
        """Roll the unit back when another task leaves the block, or its owner does so too late.

        Raises `SessionBelongsToAnotherTask`, or `SessionEnded` for the owner, if the block ended normally and had sent
        or changed anything.
        """
        unit, session = self._unit, self._session
        worked = unit.statements > 0 or not session.clean
        if self._bound is not None:
            with suppress(TransactionTimeout):
                await self._bound.__aexit__(None, None, None)  # else the timeout would cancel the owner's later work
        leave(self._token, self._outer)
        refusal = unit.belongs_to_another() if unit.opener is not asyncio.current_task() else unit.given_up()
        if not unit.ended:
            await torn_down(tear_down(session, unit, self._factory.left))
        if error is None and worked:
            raise refusal


def by_another_task(unit: Unit) -> bool:
    """True if the running task is neither the unit's owner nor runs its hooks."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # the event loop has ended: no other task is running
        return False
    return task is None or (task is not unit.task and task is not unit.helper)


def _owner_done(block: "ref[UnitBlock]", _task: "asyncio.Task[Any]") -> None:
    """Tear down a block that its owner's ended task hasn't left. For a block without references `_dropped` does so."""
    held = block()
    if held is not None:
        held.owner_done()


def _dropped(session: ProvidedSession, factory: SessionFactory, _block: object) -> None:
    """Tear down a block that was garbage-collected without being left. Called in any thread."""
    unit: Unit = session.sync_session.unit  # type: ignore[attr-defined]  # a GuardedSession
    if unit.ended or unit.teardown is not None or unit.task is None:
        return
    unit.abandoned = True
    with suppress(RuntimeError):  # the event loop is closed: the engine's disposal closes what is open
        unit.task.get_loop().call_soon_threadsafe(tear_down, session, unit, factory.left)


def open_writer(engine: AsyncEngine, *, own_task_only: bool) -> Unit | None:
    """Return the innermost open read-write transaction of this context; None without one."""
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
    """True if the database has one writer at a time (SQLite)."""
    return backend_of(engine.sync_engine.dialect).one_writer

"""TransactionProvider: the container's `transaction`. Called, it gives the block whose work is committed together."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import Token
from functools import partial
from types import FrameType, TracebackType

from unitwork.call_site import calling_place, calling_stack
from unitwork.errors import (
    BlockNeverLeft,
    IncompatibleTransaction,
    NoActiveTransaction,
    TransactionNotAllowed,
    TransactionRolledBack,
)
from unitwork.outcome import Outcome
from unitwork.sessions.session import SessionProvider
from unitwork.transactions import ending
from unitwork.transactions.abandonment import generators_of
from unitwork.transactions.isolation import isolation_level
from unitwork.transactions.misuse import CalledFirst, EnteredByAsyncWith
from unitwork.transactions.propagation import Propagation
from unitwork.transactions.session_provider import EngineSessionProvider, joined, owner_of
from unitwork.transactions.transaction import Transaction, ambient, innermost, leave, own_block, own_transaction
from unitwork.transactions.unit_block import bounded, one_writer
from unitwork.unit import Unit

WITHOUT = frozenset({Propagation.SUPPORTS, Propagation.NOT_SUPPORTED, Propagation.NEVER})
"""Modes that, outside a transaction, run without one."""


class TransactionProvider(CalledFirst):
    """Over a session provider that isn't ours it enters that provider once and makes its session ambient; commit and
    rollback are that provider's exit, and isolation and timeout are ignored.
    """

    called = "transaction"

    def __init__(self, session_provider: SessionProvider) -> None:
        self._session_provider = session_provider

    def __call__(
        self,
        propagation: Propagation = Propagation.REQUIRED,
        *,
        read_only: bool = False,
        isolation: str | None = None,
        timeout: float | None = None,
        autoflush: bool = True,
        name: str | None = None,
    ) -> AbstractAsyncContextManager[Transaction]:
        """See `Propagation` for the modes. `isolation` is a level's standard name, `timeout` seconds.

        Raises on entry `NoActiveTransaction`, `TransactionNotAllowed`, `IncompatibleTransaction`,
        `SessionBelongsToAnotherTask`, `SecondWriterImpossible`; at its end `TransactionRolledBack`,
        `CommitOutcomeUnknown`, `TransactionTimeout`, or the database's own refusal.
        """
        return _Block(
            partial(
                self._choose,
                propagation,
                read_only,
                None if isolation is None else isolation_level(isolation),
                timeout,
                autoflush,
                name,
            )
        )

    def retried(self) -> None:
        """What was begun here is begun anew, after an error that left nothing of it."""
        if isinstance(self._session_provider, EngineSessionProvider):
            self._session_provider.factory.monitor.retried()

    def _choose(
        self,
        propagation: Propagation,
        read_only: bool,
        isolation: str | None,
        timeout: float | None,
        autoflush: bool,
        name: str | None,
    ) -> AbstractAsyncContextManager[Transaction]:
        """What the mode means where the block is entered."""
        owner = owner_of(self._session_provider)
        block = self._to_join(propagation, owner)
        if block is not None and block.unit.foreign:
            timeout = None
        if block is None or (propagation is Propagation.NOT_SUPPORTED and block.unit.transactional):
            return self._own(propagation, read_only, isolation, timeout, autoflush, name)
        if not block.unit.transactional:
            return _passed_through(block, timeout=timeout, autoflush=autoflush, read_only=read_only)
        _check_compatible(block, self._session_provider, read_only=read_only, isolation=isolation)
        if propagation is Propagation.NESTED:
            return _savepoint(block, timeout=timeout, autoflush=autoflush, read_only=read_only)
        return _join(block, timeout=timeout, autoflush=autoflush, read_only=read_only)

    def _to_join(self, propagation: Propagation, owner: Callable[[], object]) -> Transaction | None:
        """The block that this one becomes part of; None when it has a unit of its own."""
        match propagation:
            case Propagation.REQUIRES_NEW:
                return None
            case Propagation.REQUIRED | Propagation.NESTED:
                return own_transaction(owner)
            case Propagation.NOT_SUPPORTED:
                block = innermost(owner)
                return block if block is not None and block.unit.mine() else None
        block = own_block(owner)
        inside = block is not None and block.unit.transactional
        if propagation is Propagation.MANDATORY and not inside:
            raise NoActiveTransaction
        if propagation is Propagation.NEVER and inside and block is not None:
            raise TransactionNotAllowed(block.unit.place)
        return block

    def _own(
        self,
        propagation: Propagation,
        read_only: bool,
        isolation: str | None,
        timeout: float | None,
        autoflush: bool,
        name: str | None,
    ) -> AbstractAsyncContextManager[Transaction]:
        transactional = propagation not in WITHOUT
        provider = self._session_provider
        if not isinstance(provider, EngineSessionProvider):
            return _foreign(provider, read_only=read_only, autoflush=autoflush, name=name, transactional=transactional)
        if transactional and not read_only:
            provider.refuse_second_writer(own_task_only=propagation is not Propagation.REQUIRES_NEW)
        return provider.unit(
            read_only=read_only,
            isolation=isolation if transactional else None,
            timeout=timeout,
            autoflush=autoflush,
            name=name,
            transactional=transactional,
        )


class _Block(EnteredByAsyncWith, AbstractAsyncContextManager[Transaction]):
    """Decides on entry what it is."""

    def __init__(self, choose: Callable[[], AbstractAsyncContextManager[Transaction]]) -> None:
        self._choose = choose

    async def __aenter__(self) -> Transaction:
        self._chosen = self._choose()
        return await self._chosen.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._chosen.__aexit__(kind, error, traceback)


def _check_compatible(block: Transaction, provider: SessionProvider, *, read_only: bool, isolation: str | None) -> None:
    unit = block.unit
    if unit.refuses_writes and not read_only:
        raise IncompatibleTransaction("writes, as it reads only", unit.place)
    if isolation is None or not isinstance(provider, EngineSessionProvider) or one_writer(provider.owner()):
        return
    if isolation != unit.isolation:
        raise IncompatibleTransaction(f"isolation {isolation}", unit.place)


@asynccontextmanager
async def _passed_through(
    block: Transaction,
    *,
    timeout: float | None,  # noqa: ASYNC109 - bounds the block
    autoflush: bool,
    read_only: bool,
) -> AsyncIterator[Transaction]:
    """A block without a transaction inside another such block."""
    async with bounded(timeout, block.unit), joined(block, autoflush=autoflush, read_only=read_only):
        yield block


@asynccontextmanager
async def _join(
    block: Transaction,
    *,
    timeout: float | None,  # noqa: ASYNC109 - bounds the block
    autoflush: bool,
    read_only: bool,
) -> AsyncIterator[Transaction]:
    """An exception that leaves it dooms the transaction; so does never to be left, or by another task."""
    unit = block.unit
    unit.joined += 1
    try:
        async with bounded(timeout, unit), joined(block, autoflush=autoflush, read_only=read_only):
            yield block
    except BaseException as error:
        if unit.mine():
            block.frame.doom(error)
            unit.joined -= 1
        raise
    if not unit.mine():
        raise unit.belongs_to_another()
    unit.joined -= 1


@asynccontextmanager
async def _savepoint(
    block: Transaction,
    *,
    timeout: float | None,  # noqa: ASYNC109 - bounds the block
    autoflush: bool,
    read_only: bool,
) -> AsyncIterator[Transaction]:
    """An exception that leaves it, or an error from the database that was caught in it, undoes its work alone."""
    session, unit = block.session, block.unit
    begin_nested = getattr(session, "begin_nested", None)
    if begin_nested is None:  # a fake that knows no savepoints
        async with _join(block, timeout=timeout, autoflush=autoflush, read_only=read_only) as transaction:
            yield transaction
        return
    savepoint = begin_nested()
    await savepoint.start()
    if unit.foreign:
        unit.push("")
    frame = unit.top
    frame.of_block = True
    nested = Transaction(unit, frame, session, owner=block.owner, outer=ambient.get())
    surroundings = ambient.get()
    token: Token[Transaction | None] | None = ambient.set(nested)
    try:
        async with bounded(timeout, unit), joined(nested, autoflush=autoflush, read_only=read_only):
            yield nested
        if not unit.mine():
            raise unit.belongs_to_another()
        if not frame.doomed and not unit.foreign:
            await session.flush()
        if frame.doomed:
            raise TransactionRolledBack from frame.cause
        await savepoint.commit()
        if unit.foreign:
            unit.pop_released()
    except BaseException:
        if not unit.mine():  # its owner may be at work; the transaction finds it open at its end, and rolls back
            raise
        await ending.roll_back_to(savepoint, unit, frame)
        leave(token, surroundings)
        token = None
        await ending.run_rollback_hooks(frame)
        raise
    finally:
        leave(token, surroundings)


@asynccontextmanager
async def _foreign(
    provider: SessionProvider, *, read_only: bool, autoflush: bool, name: str | None, transactional: bool
) -> AsyncIterator[Transaction]:
    unit = Unit(name=name, read_only=read_only, transactional=transactional, foreign=True)
    generators: list[FrameType] = []
    calling_stack(generators=generators)
    unit.generators = generators_of(generators)
    unit.enter(calling_place(), parent=None)
    outer = ambient.get()
    outcome = Outcome.ROLLED_BACK
    normally = False
    try:
        async with provider(autoflush=autoflush, read_only=read_only) as session:
            transaction = Transaction(unit, unit.root, session, owner=provider, outer=outer)
            if isinstance(getattr(session, "info", None), dict):
                session.info["transaction"] = transaction
            token = ambient.set(transaction)
            try:
                yield transaction
                if not unit.mine():
                    raise unit.belongs_to_another()
                if unit.joined or any(frame.of_block for frame in unit.frames):
                    unit.root.doom(BlockNeverLeft())
                if unit.root.doomed:
                    raise TransactionRolledBack from unit.root.cause
                normally = True
            finally:
                leave(token, outer)
        if normally:  # else the provider's exit has swallowed what left the block
            outcome = Outcome.COMMITTED
    finally:
        unit.outcome = outcome if transactional else None
        unit.end()
        await ending.run_hooks(unit)

"""TransactionProvider: the container's `transaction`. Calling it returns a block whose work is committed together."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import Token
from functools import partial
from types import TracebackType

from unitwork.deadline import bounded
from unitwork.errors import (
    IncompatibleTransaction,
    NoActiveTransaction,
    TransactionNotAllowed,
    TransactionRolledBack,
)
from unitwork.sessions.session import SessionProvider
from unitwork.transactions import ending
from unitwork.transactions.block_options import BlockOptions, isolation_level
from unitwork.transactions.misuse import CalledFirst, EnteredByAsyncWith
from unitwork.transactions.propagation import Propagation
from unitwork.transactions.session_provider import joined
from unitwork.transactions.session_source import source_of
from unitwork.transactions.transaction import Transaction, ambient, innermost, leave, own_block, own_transaction

MODES_WITHOUT_TRANSACTION = frozenset({Propagation.SUPPORTS, Propagation.NOT_SUPPORTED, Propagation.NEVER})
"""Modes that run without a transaction when there is none to join."""


class TransactionProvider(CalledFirst):
    """Creates transaction blocks of a session provider.

    A third-party provider is entered once and its session becomes ambient; commit and rollback are that provider's
    exit, and isolation and timeout are ignored.
    """

    called = "transaction"

    def __init__(self, session_provider: SessionProvider) -> None:
        self._source = source_of(session_provider)

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
        """Return a transaction block; see `Propagation` for the modes. `isolation` is a level's standard name,
        `timeout` seconds.

        Entering raises `NoActiveTransaction`, `TransactionNotAllowed`, `IncompatibleTransaction`,
        `SessionBelongsToAnotherTask` or `SecondWriterImpossible`. Leaving raises `TransactionRolledBack`,
        `CommitOutcomeUnknown`, `TransactionTimeout`, or the database's refusal.
        """
        level = None if isolation is None else isolation_level(isolation)
        return _Block(partial(self._choose, propagation, BlockOptions(read_only, autoflush, level, timeout, name)))

    def retried(self) -> None:
        """Count a retry, after an error that left nothing stored."""
        self._source.retried()

    def _choose(self, propagation: Propagation, options: BlockOptions) -> AbstractAsyncContextManager[Transaction]:
        """Return the block for this mode in the current context."""
        block = self._to_join(propagation, self._source.owner)
        if block is not None and block.unit.third_party:
            options = options._replace(timeout=None)
        if block is None or (propagation is Propagation.NOT_SUPPORTED and block.unit.transactional):
            return self._own(propagation, options)
        if not block.unit.transactional:
            return _passed_through(block, options)
        self._check_compatible(block, options)
        return _savepoint(block, options) if propagation is Propagation.NESTED else _join(block, options)

    def _to_join(self, propagation: Propagation, owner: Callable[[], object]) -> Transaction | None:
        """Return the block that this one joins; None if it gets a unit of its own."""
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
            raise TransactionNotAllowed(block.unit.call_site)
        return block

    def _own(self, propagation: Propagation, options: BlockOptions) -> AbstractAsyncContextManager[Transaction]:
        if propagation in MODES_WITHOUT_TRANSACTION:
            return self._source.unit(options._replace(transactional=False, isolation=None))
        if not options.read_only:
            self._source.refuse_second_writer(own_task_only=propagation is not Propagation.REQUIRES_NEW)
        return self._source.unit(options)

    def _check_compatible(self, block: Transaction, options: BlockOptions) -> None:
        unit, isolation = block.unit, options.isolation
        if unit.refuses_writes and not options.read_only:
            raise IncompatibleTransaction("writes, as it reads only", unit.call_site)
        if isolation is not None and isolation != unit.isolation and not self._source.one_writer:
            raise IncompatibleTransaction(f"isolation {isolation}", unit.call_site)


class _Block(EnteredByAsyncWith, AbstractAsyncContextManager[Transaction]):
    """Block that chooses its kind when entered."""

    def __init__(self, choose: Callable[[], AbstractAsyncContextManager[Transaction]]) -> None:
        self._choose = choose

    async def __aenter__(self) -> Transaction:
        self._chosen = self._choose()
        return await self._chosen.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._chosen.__aexit__(kind, error, traceback)


@asynccontextmanager
async def _passed_through(block: Transaction, options: BlockOptions) -> AsyncIterator[Transaction]:
    """Yield the enclosing block: neither runs in a transaction."""
    async with bounded(options.timeout, block.unit), joined(block, options):
        yield block


@asynccontextmanager
async def _join(block: Transaction, options: BlockOptions) -> AsyncIterator[Transaction]:
    """Join a transaction. An exception that leaves the block dooms it; so does a block that is never left, or left by
    another task.
    """
    unit = block.unit
    unit.joined += 1
    try:
        async with bounded(options.timeout, unit), joined(block, options):
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
async def _savepoint(block: Transaction, options: BlockOptions) -> AsyncIterator[Transaction]:
    """Run the block in a savepoint. An exception that leaves it, or a database error caught in it, undoes only its own
    work.
    """
    session, unit = block.session, block.unit
    begin_nested = getattr(session, "begin_nested", None)
    if begin_nested is None:  # a fake without savepoints
        async with _join(block, options) as transaction:
            yield transaction
        return
    savepoint = begin_nested()
    await savepoint.start()
    if unit.third_party:
        unit.push("")
    frame = unit.top
    frame.of_block = True
    nested = Transaction(unit, frame, session, owner=block.owner, outer=ambient.get())
    around = ambient.get()
    token: Token[Transaction | None] | None = ambient.set(nested)
    try:
        async with bounded(options.timeout, unit), joined(nested, options):
            yield nested
        if not unit.mine():
            raise unit.belongs_to_another()
        if not frame.doomed and not unit.third_party:
            await session.flush()
        if frame.doomed:
            raise TransactionRolledBack from frame.cause
        await savepoint.commit()
        if unit.third_party:
            unit.pop_released()
    except BaseException:
        if (
            not unit.mine()
        ):  # its owner may be at work; the transaction finds the savepoint open at its end, and rolls back
            raise
        await ending.roll_back_to(savepoint, unit, frame)
        leave(token, around)
        token = None
        await ending.run_rollback_hooks(frame)
        raise
    finally:
        leave(token, around)

"""Transaction: the object a block yields, and the ambient transactions of a context.

A task's ambient transactions are a chain, innermost first, in one context variable. A child task inherits its parent's
chain and must not use the open ones; blocks that have ended are skipped.
"""

from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from unitwork.errors import NoActiveTransaction
from unitwork.outcome import Outcome
from unitwork.transactions.misuse import EndedByItsBlock
from unitwork.unit import Frame, Hook, Unit


class Transaction(EndedByItsBlock):
    """A transaction, or a savepoint in one, inside its block. `session.info["transaction"]` is the transaction, never a
    savepoint.

    In a block that runs without a transaction `active` is False, and hooks and `set_rollback_only` raise
    `NoActiveTransaction`.
    """

    def __init__(
        self, unit: Unit, frame: Frame, session: AsyncSession, *, owner: object, outer: "Transaction | None"
    ) -> None:
        self.session: Final = session
        """Session of the block, which alone can end it."""
        self.unit: Final = unit
        self.frame: Final = frame
        self.owner: Final = owner
        """Owner: an engine, or a third-party session provider."""
        self.outer: Final = outer

    @property
    def name(self) -> str | None:
        """Return its name for logs."""
        return self.unit.name

    @property
    def active(self) -> bool:
        """True if work done now is part of a transaction."""
        return self.unit.transactional and not self.unit.over and self.outcome is None

    @property
    def outcome(self) -> Outcome | None:
        """Return its outcome; None while it is open, and for a block without a transaction."""
        return Outcome.ROLLED_BACK if self.frame.gone else self.unit.outcome

    def after_commit(self, hook: Hook) -> None:
        """Call `hook` (no argument, sync or async) once the outermost transaction has committed, outside it. Its
        exceptions are logged. Dropped when this savepoint or the transaction rolls back.
        """
        self._frame().after_commit.append(hook)

    def after_rollback(self, hook: Hook) -> None:
        """Call `hook` once this savepoint or the transaction has rolled back. Its exceptions are logged."""
        self._frame().after_rollback.append(hook)

    def set_rollback_only(self) -> None:
        """Make the block roll back at its end; if it ends normally it then raises `TransactionRolledBack`."""
        self._frame().doom(None)

    def _frame(self) -> Frame:
        """Return the frame whose rollback would undo work done now: for a released savepoint the enclosing frame."""
        if not self.unit.mine():
            raise self.unit.belongs_to_another()
        if not self.active:
            raise NoActiveTransaction
        frame = self.frame
        while frame.released_into is not None:
            frame = frame.released_into
        return frame


ambient: Final[ContextVar[Transaction | None]] = ContextVar("ambient_transaction", default=None)
"""Innermost block of this context, open or not. Setting it to None in a task's own context detaches the task from the
parent's blocks.
"""


def leave(token: "Token[Transaction | None] | None", outer: Transaction | None) -> None:
    """Restore the enclosing block as the ambient one."""
    if token is None:
        return
    try:
        ambient.reset(token)
    except ValueError:
        # Left in another context than it was entered in, as in set-up and teardown of a fixture.
        ambient.set(outer)


def innermost(owner: Callable[[], object]) -> Transaction | None:
    """Return the innermost open block of this owner, possibly another task's; None without one. `owner` is called only
    when some block is open.
    """
    block = ambient.get()
    while block is not None and block.unit.over:
        block = block.outer
    if block is None:
        return None
    wanted = owner()
    while block is not None and (block.unit.over or block.owner != wanted):
        block = block.outer
    return block


def own_block(owner: Callable[[], object]) -> Transaction | None:
    """Return the innermost open block that this task opened, with or without a transaction; None without one.

    Raises `SessionBelongsToAnotherTask` when the nearest transaction is another task's.
    """
    block = innermost(owner)
    if block is None or block.unit.mine():
        return block
    if block.unit.transactional:
        raise block.unit.belongs_to_another()
    return None


def own_transaction(owner: Callable[[], object]) -> Transaction | None:
    """Return this task's ambient transaction; None outside one, or in a block that runs without one."""
    block = innermost(owner)
    return block if block is not None and block.unit.mine() and block.unit.transactional else None


def current_transaction() -> Transaction | None:
    """Return the innermost open transaction of this task, of any container; None outside one."""
    block = ambient.get()
    while block is not None and block.unit.over:
        block = block.outer
    return block if block is not None and block.unit.mine() and block.unit.transactional else None


def ambient_name() -> str | None:
    """Return the name of the innermost named block, for logs, including blocks of the parent task. Callable from any
    thread.
    """
    block = ambient.get()
    while block is not None and (block.unit.over or block.name is None):
        block = block.outer
    return None if block is None else block.name

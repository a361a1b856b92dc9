"""Transaction: what a block gets, and which one is ambient.

The ambient ones of a task are a chain, innermost first, in one context variable. A child task inherits its parent's
chain and must not use what is open in it; once a block has ended it counts as none.
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
    """A transaction, or a savepoint in one, inside its block. `session.info["transaction"]` is the transaction's.

    In a block that runs without a transaction `active` is False, and hooks and `set_rollback_only` raise
    `NoActiveTransaction`.
    """

    def __init__(
        self, unit: Unit, frame: Frame, session: AsyncSession, *, owner: object, outer: "Transaction | None"
    ) -> None:
        self.session: Final = session
        """The session of the block; its end belongs to the block."""
        self.unit: Final = unit
        self.frame: Final = frame
        self.owner: Final = owner
        """What it belongs to: an engine, or a session provider that isn't ours."""
        self.outer: Final = outer

    @property
    def name(self) -> str | None:
        """What logs call it."""
        return self.unit.name

    @property
    def active(self) -> bool:
        """Whether work done now is part of a transaction."""
        return self.unit.transactional and not self.unit.over and self.outcome is None

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None while it is open, and for a block without a transaction."""
        return Outcome.ROLLED_BACK if self.frame.gone else self.unit.outcome

    def after_commit(self, hook: Hook) -> None:
        """Call `hook` (no argument, sync or async) once the outermost transaction has committed, outside it. What it
        raises is logged. Dropped when this savepoint, or the transaction, rolls back.
        """
        self._frame().after_commit.append(hook)

    def after_rollback(self, hook: Hook) -> None:
        """Call `hook` once this savepoint, or the transaction, has rolled back. What it raises is logged."""
        self._frame().after_rollback.append(hook)

    def set_rollback_only(self) -> None:
        """Whatever follows, roll back at the end; a block that ends normally then raises `TransactionRolledBack`."""
        self._frame().doom(None)

    def _frame(self) -> Frame:
        """Where work done now would be undone: a released savepoint's work is its surroundings'."""
        if not self.unit.mine():
            raise self.unit.belongs_to_another()
        if not self.active:
            raise NoActiveTransaction
        frame = self.frame
        while frame.released_into is not None:
            frame = frame.released_into
        return frame


ambient: Final[ContextVar[Transaction | None]] = ContextVar("ambient_transaction", default=None)
"""The innermost block of this context, open or not. Set to None in a task's own context it leaves the parent's."""


def leave(token: "Token[Transaction | None] | None", outer: Transaction | None) -> None:
    """Make the surroundings ambient again."""
    if token is None:
        return
    try:
        ambient.reset(token)
    except ValueError:
        # Left in another context than it was entered in, as set-up and teardown of a fixture are.
        ambient.set(outer)


def innermost(owner: Callable[[], object]) -> Transaction | None:
    """The innermost open block of this owner, perhaps another task's. The owner is asked for only when some block is
    open.
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
    """The innermost open block that this task opened, with a transaction or without; None without one.

    Raises `SessionBelongsToAnotherTask` when the nearest transaction is another task's.
    """
    block = innermost(owner)
    if block is None or block.unit.mine():
        return block
    if block.unit.transactional:
        raise block.unit.belongs_to_another()
    return None


def own_transaction(owner: Callable[[], object]) -> Transaction | None:
    """The ambient transaction of this task; None without one, or in a block that runs without one."""
    block = innermost(owner)
    return block if block is not None and block.unit.mine() and block.unit.transactional else None


def current_transaction() -> Transaction | None:
    """The innermost transaction this task has open, of whichever container; None outside."""
    block = ambient.get()
    while block is not None and block.unit.over:
        block = block.outer
    return block if block is not None and block.unit.mine() and block.unit.transactional else None


def ambient_name() -> str | None:
    """What the innermost named block calls itself, that of the task this one was started from too: for logs. Callable
    from any thread.
    """
    block = ambient.get()
    while block is not None and (block.unit.over or block.name is None):
        block = block.outer
    return None if block is None else block.name

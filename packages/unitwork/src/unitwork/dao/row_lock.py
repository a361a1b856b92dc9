"""RowLock: lock rows against changes and other locks until the transaction ends."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, TypeVar

from sqlalchemy import Dialect, Select, text
from sqlalchemy.ext.asyncio import AsyncSession

from unitwork.backends.registry import backend_named, backend_of
from unitwork.errors import NoActiveTransaction, NotSupported, ReadOnlyTransaction
from unitwork.transactions.transaction import Transaction

S = TypeVar("S", bound=Select[Any])

_LIMIT: Final = text("SELECT current_setting('lock_timeout'), set_config('lock_timeout', CAST(:limit AS TEXT), true)")


@dataclass(frozen=True)
class RowLock:
    """SELECT … FOR UPDATE. `skip_locked` leaves out rows that are locked; `nowait` raises `LockNotAvailable` for one at
    once, `timeout` after this many seconds.
    """

    skip_locked: bool = False
    nowait: bool = False
    timeout: float | None = None

    def __post_init__(self) -> None:
        if self.skip_locked + self.nowait + (self.timeout is not None) > 1:
            msg = "skip_locked, nowait and timeout are three answers to a locked row; give one of them"
            raise ValueError(msg)
        if self.timeout is not None and self.timeout <= 0:
            msg = f"timeout={self.timeout:g}: give seconds above 0, or nowait=True"
            raise ValueError(msg)

    def check(self, session: AsyncSession, dialect: Dialect) -> None:
        """Raise `NotSupported`, `NoActiveTransaction` or `ReadOnlyTransaction` if the lock can't be taken.

        They are raised on every database alike: a lock that ends with its own statement would protect nothing.
        """
        if backend_of(dialect).one_writer and (self.skip_locked or self.nowait):
            what = "SKIP LOCKED" if self.skip_locked else "NOWAIT"
            raise NotSupported(
                what, dialect.name, "It has one writer, so there is no locked row to meet: leave it out."
            )
        transaction = check_in_transaction(session)
        if transaction is not None and transaction.unit.refuses_writes:
            raise ReadOnlyTransaction

    def locking(self, statement: S, entity: Any, dialect: str | None) -> S:
        """Add the lock to the statement. SQLite needs none: a writing transaction locks the whole database."""
        if self.timeout is not None and dialect is not None and backend_named(dialect).says_wait:
            statement = statement.with_statement_hint(f"WAIT {ceil(self.timeout)}", dialect)
        return statement.with_for_update(of=entity, skip_locked=self.skip_locked, nowait=self.nowait)

    def bounded(self, session: AsyncSession, dialect: Dialect) -> AbstractAsyncContextManager[None]:
        """Apply the lock's timeout to the statement inside the block."""
        return waiting_at_most(self.timeout, session, dialect)


@asynccontextmanager
async def waiting_at_most(seconds: float | None, session: AsyncSession, dialect: Dialect) -> AsyncIterator[None]:
    """Set PostgreSQL's `lock_timeout` inside the block, and restore it afterwards."""
    if seconds is None or not backend_of(dialect).lock_timeout_is_set:
        yield
        return
    before = (await session.execute(_LIMIT, {"limit": f"{max(1, round(seconds * 1000))}ms"})).one()[0]
    yield
    await session.execute(_LIMIT, {"limit": before})


def check_in_transaction(session: AsyncSession) -> Transaction | None:
    """Return the session's transaction; None if the session isn't ours. Raises `NoActiveTransaction`."""
    transaction = session.info.get("transaction")
    if not isinstance(transaction, Transaction) or transaction.unit.third_party:
        return None
    if not transaction.active:
        raise NoActiveTransaction
    return transaction

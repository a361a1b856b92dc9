"""AdvisoryLocks: locks on names, each held by one transaction at a time across all processes. PostgreSQL only."""

from hashlib import blake2b

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from unitwork.connections.primary import check_primary
from unitwork.dao.row_lock import check_in_transaction, waiting_at_most
from unitwork.errors import NotSupported
from unitwork.sessions.session import SessionProvider
from unitwork.transactions.session_source import source_of


class AdvisoryLocks:
    """Locks on names that last until the transaction ends.

    Every method needs a transaction and raises `NoActiveTransaction` without one. On a database other than PostgreSQL
    they raise `NotSupported`. A server that reports that it takes no writes grants locks, which nobody at the primary
    knows of: `NotPrimary`. `shared` holders exclude exclusive ones, not each other.
    """

    def __init__(self, session_provider: SessionProvider) -> None:
        self._sessions = source_of(session_provider)

    async def acquire(
        self,
        name: str,
        *,
        shared: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - the database applies it
    ) -> None:
        """Wait for the lock on `name`; raise `LockNotAvailable` after `timeout` seconds. Returns at once for its
        holder.
        """
        lock = func.pg_advisory_xact_lock_shared if shared else func.pg_advisory_xact_lock
        async with self._sessions.writing() as session:
            self._check(session)
            async with waiting_at_most(timeout, session, self._sessions.dialect_of(session)):
                await session.execute(select(lock(key_of(name))))
            _check_primary(session)

    async def try_acquire(self, name: str, *, shared: bool = False) -> bool:
        """Take the lock on `name` if it is free. True if this transaction holds it now."""
        lock = func.pg_try_advisory_xact_lock_shared if shared else func.pg_try_advisory_xact_lock
        async with self._sessions.writing() as session:
            self._check(session)
            taken = bool(await session.scalar(select(lock(key_of(name)))))
            _check_primary(session)
            return taken

    def _check(self, session: AsyncSession) -> None:
        database = self._sessions.dialect_of(session).name
        if database != "postgresql":
            raise NotSupported("advisory locks", database, "Lock a row instead: `dao.get_locked(id)`.")
        transaction = check_in_transaction(session)
        if transaction is not None and transaction.unit.replica is not None:
            fix = "Open the transaction inside `with reads_from_primary():`."
            raise NotSupported("locks on a replica that anybody at the primary knows of", database, fix)


def _check_primary(session: AsyncSession) -> None:
    transaction = check_in_transaction(session)
    if transaction is not None:
        check_primary(transaction.unit)


def key_of(name: str) -> int:
    """Return the 64-bit key under which PostgreSQL holds the name."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)

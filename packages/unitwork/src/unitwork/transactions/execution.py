"""execute_transaction: run a callback in one transaction, and again if nothing of it was stored."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from unitwork.errors.undone import undone
from unitwork.sessions.session import SessionProvider
from unitwork.transactions.propagation import Propagation
from unitwork.transactions.provider import TransactionProvider
from unitwork.transactions.retry import Retry, repeat
from unitwork.transactions.transaction import ambient
from unitwork.unit import Unit

T = TypeVar("T")
BEGINNING_MODES: Final = frozenset({Propagation.REQUIRED, Propagation.REQUIRES_NEW, Propagation.NESTED})
"""Modes that may begin a transaction, which is required for a retry."""


async def execute_transaction(
    session_provider_or_transaction: SessionProvider | TransactionProvider,
    callback: Callable[[AsyncSession], Awaitable[T]],
    *,
    autoflush: bool = True,
    propagation: Propagation = Propagation.REQUIRED,
    read_only: bool = False,
    isolation: str | None = None,
    timeout: float | None = None,  # noqa: ASYNC109 - bounds the transaction
    name: str | None = None,
    retry: int | Retry | None = None,
) -> T:
    """Return what `callback` returns, once its transaction has committed (or, joining one, once it has run).

    The options are those of `transaction()`. Any exception of the callback rolls back and is re-raised unchanged.
    `retry`, a total number of attempts or a `Retry`, runs the whole callback again in a new transaction after a
    serialisation failure, a deadlock, a busy SQLite, or a connection that was lost before COMMIT or couldn't be opened.
    A callback that joins a transaction is not retried: the block that began the transaction gets the error. Raises
    ValueError for `retry` with a mode that begins none.
    """
    transaction = session_provider_or_transaction
    if not isinstance(transaction, TransactionProvider):
        transaction = TransactionProvider(transaction)
    begun = False
    attempts = 0

    async def run() -> T:
        nonlocal begun, attempts
        begun = False
        attempts += 1
        if attempts > 1:
            transaction.retried()
        around = _open_units()
        async with transaction(
            propagation, read_only=read_only, isolation=isolation, timeout=timeout, autoflush=autoflush, name=name
        ) as tx:
            begun = tx.unit not in around
            if retry is not None and begun:
                tx.unit.resolves_outcome = True  # before BEGIN, which the first statement sends
            return await callback(tx.session)

    def worth(error: BaseException) -> bool:
        return begun and undone(error) is not None

    if retry is None:
        return await run()
    if propagation not in BEGINNING_MODES:
        msg = f"retry has a transaction begun anew, and {propagation.name} begins none: leave one of them out"
        raise ValueError(msg)
    plan = retry if isinstance(retry, Retry) else Retry(attempts=retry)
    return await repeat(run, plan, worth=worth, name=name or "a transaction")


def _open_units() -> set[Unit]:
    found = set()
    block = ambient.get()
    while block is not None:
        found.add(block.unit)
        block = block.outer
    return found

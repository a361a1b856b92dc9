"""execute_transaction: a callback run in one transaction."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from database.propagation import Propagation
from database.session import SessionProvider
from database.transaction_provider import TransactionProvider

T = TypeVar("T")


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
    retry: None = None,
) -> T:
    """What `callback` returns, once its transaction has committed (or, joining one, once it has run).

    The options are those of `transaction()`. Any exception of the callback rolls back and is re-raised unchanged.
    `retry` accepts None alone: nothing is tried again.
    """
    if retry is not None:
        msg = "execute_transaction tries once: retry must be None"
        raise ValueError(msg)
    transaction = session_provider_or_transaction
    if not isinstance(transaction, TransactionProvider):
        transaction = TransactionProvider(transaction)
    async with transaction(
        propagation, read_only=read_only, isolation=isolation, timeout=timeout, autoflush=autoflush, name=name
    ) as tx:
        return await callback(tx.session)

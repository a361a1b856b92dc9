"""Transactions: which work is committed together.

One is ambient inside its block: DAOs and session providers of the same container join it. The ambient ones of
this task are a chain, innermost first, in one context variable.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from sqlalchemy.ext.asyncio import AsyncSession

from database.errors import TransactionRolledBack
from database.outcome import Outcome
from database.propagation import Propagation
from database.session import ProvidedSession, SessionFactory, SessionProvider, flushing


class Transaction:
    """One transaction, from BEGIN to its outcome. `session.info["transaction"]` is this object."""

    def __init__(self, session: AsyncSession, *, name: str | None, owner: object, outer: "Transaction | None") -> None:
        self.session = session
        """The session of the block; its end belongs to the block."""
        self.name = name
        """What logs call it."""
        self.outcome: Outcome | None = None
        """None while it is open."""
        self.owner = owner
        """What it belongs to: a container's session factory, or a session provider that isn't ours."""
        self.outer = outer
        self._doomed = False
        self._cause: BaseException | None = None

    @property
    def active(self) -> bool:
        """Whether work done now would be part of it."""
        return self.outcome is None

    def set_rollback_only(self, cause: BaseException | None = None) -> None:
        """Whatever follows, roll back at the end; a block that ends normally raises `TransactionRolledBack`."""
        if not self._doomed:
            self._doomed, self._cause = True, cause

    def raise_if_doomed(self) -> None:
        """Raises `TransactionRolledBack` from the first cause when the transaction can only roll back."""
        if self._doomed:
            raise TransactionRolledBack from self._cause


_ambient: ContextVar[Transaction | None] = ContextVar("ambient_transaction", default=None)


def current_transaction(session_provider: SessionProvider | None = None) -> Transaction | None:
    """The ambient transaction of this provider's container, or the innermost of all; None outside."""
    owner = None if session_provider is None else owner_of(session_provider)
    transaction = _ambient.get()
    while transaction is not None and not (transaction.active and owner in {None, transaction.owner}):
        transaction = transaction.outer
    return transaction


def owner_of(session_provider: SessionProvider) -> object:
    """What a provider's transactions belong to."""
    return session_provider.factory if isinstance(session_provider, EngineSessionProvider) else session_provider


@asynccontextmanager
async def ambient(session: AsyncSession, *, name: str | None, owner: object) -> AsyncIterator[Transaction]:
    """Make the session's transaction ambient for the block. Neither commits nor rolls back."""
    transaction = Transaction(session, name=name, owner=owner, outer=_ambient.get())
    session.info["transaction"] = transaction
    token = _ambient.set(transaction)
    try:
        yield transaction
    finally:
        _ambient.reset(token)
        if transaction.outcome is None:
            transaction.outcome = Outcome.ROLLED_BACK


class EngineSessionProvider:
    """The container's session provider.

    Inside a transaction of the same container it gives the ambient session, and leaves it open. Outside, the
    block is a unit of its own: BEGIN with the first statement, COMMIT at its normal end, ROLLBACK and the
    exception unchanged otherwise.
    """

    def __init__(self, factory: SessionFactory) -> None:
        self.factory = factory

    @asynccontextmanager
    async def __call__(self, *, autoflush: bool = True, read_only: bool = False) -> AsyncIterator[AsyncSession]:
        joined = current_transaction(self)
        if joined is not None:
            with flushing(joined.session, autoflush=autoflush):
                yield joined.session
            return
        async with self.unit(autoflush=autoflush, read_only=read_only, name=None) as transaction:
            yield transaction.session

    @asynccontextmanager
    async def unit(self, *, autoflush: bool, read_only: bool, name: str | None) -> AsyncIterator[Transaction]:
        """A transaction on a connection of its own."""
        session = self.factory(read_only=read_only, autoflush=autoflush)
        try:
            async with ambient(session, name=name, owner=self.factory) as transaction:
                try:
                    yield transaction
                except BaseException:
                    await session.finish_by_rollback()
                    raise
                await _commit(session, transaction)
        finally:
            await session.finish()


async def _commit(session: ProvidedSession, transaction: Transaction) -> None:
    try:
        transaction.raise_if_doomed()
        await session.flush()
        transaction.raise_if_doomed()
        await session.finish_by_commit()
    except BaseException:
        await session.finish_by_rollback()
        raise
    transaction.outcome = Outcome.COMMITTED


class TransactionProvider:
    """The container's `transaction`: called, it gives the block in which work is committed together.

    Over a session provider that isn't ours it enters that provider once and makes its session ambient; commit
    and rollback are that provider's exit.
    """

    def __init__(self, session_provider: SessionProvider) -> None:
        self._session_provider = session_provider

    @asynccontextmanager
    async def __call__(
        self,
        propagation: Propagation = Propagation.REQUIRED,
        *,
        read_only: bool = False,
        autoflush: bool = True,
        name: str | None = None,
    ) -> AsyncIterator[Transaction]:
        Propagation(propagation)
        provider = self._session_provider
        joined = current_transaction(provider)
        if joined is not None:
            async with _joining(joined, autoflush=autoflush):
                yield joined
        elif isinstance(provider, EngineSessionProvider):
            async with provider.unit(autoflush=autoflush, read_only=read_only, name=name) as transaction:
                yield transaction
        else:
            async with (
                provider(autoflush=autoflush, read_only=read_only) as session,
                ambient(session, name=name, owner=provider) as transaction,
            ):
                yield transaction
                transaction.raise_if_doomed()
                transaction.outcome = Outcome.COMMITTED


@asynccontextmanager
async def _joining(transaction: Transaction, *, autoflush: bool) -> AsyncIterator[None]:
    with flushing(transaction.session, autoflush=autoflush):
        try:
            yield
        except BaseException as error:
            transaction.set_rollback_only(error)
            raise


@asynccontextmanager
async def session_of(session_provider: SessionProvider, *, read_only: bool = False) -> AsyncIterator[AsyncSession]:
    """The ambient session of the provider's container, else a short one of its own: how a DAO gets a session.

    `read_only` holds for the short one; joining leaves the ambient one as it is.
    """
    joined = current_transaction(session_provider)
    if joined is not None:
        yield joined.session
    else:
        async with session_provider(read_only=read_only) as session:
            yield session

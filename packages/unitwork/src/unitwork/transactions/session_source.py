"""SessionSource: the interface through which blocks, DAOs and builders get sessions and send statements.

An engine's provider implements it (`session_provider`), and so does a fake; `source_of` adapts any other provider.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import FrameType
from typing import Any, Final, Protocol

from sqlalchemy import Dialect, Executable
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from unitwork.call_site import calling_site, calling_stack
from unitwork.connections.compiled_statements import Answer
from unitwork.errors import BlockNeverLeft, TransactionRolledBack
from unitwork.outcome import Outcome
from unitwork.sessions.inside_statements import InsideStatements
from unitwork.sessions.session import SessionProvider
from unitwork.transactions import ending
from unitwork.transactions.abandonment import generators_of
from unitwork.transactions.block_options import DEFAULT, BlockOptions
from unitwork.transactions.transaction import Transaction, ambient, leave, own_block
from unitwork.unit import Unit

_READS_SOME: Final = BlockOptions(read_only=True)
_STREAMS: Final = BlockOptions(read_only=True, ambiently=False)
_READS_ONCE: Final = BlockOptions(read_only=True, transactional=False, autocommit=True)
_WRITES_ONCE: Final = BlockOptions(transactional=False, autocommit=True)


class Reads(Protocol):
    """Sender of SELECTs, outside a block or in an open transaction."""

    @property
    def session(self) -> Session | None:
        """The session that holds the rows' models; None for detached models."""
        ...

    @property
    def dialect(self) -> str:
        """Name of the database's dialect."""
        ...

    def read(self, statement: Executable, parameters: Mapping[str, Any]) -> Awaitable[Answer]:
        """Send a SELECT; return its answer."""
        ...


class SessionSource(ABC):
    """Access to one database, independent of the kind of provider behind it."""

    @abstractmethod
    def owner(self) -> object:
        """Return the owner of its transactions; blocks of one owner join each other."""

    @property
    @abstractmethod
    def dialect(self) -> Dialect | None:
        """Return the dialect of the engine in force; None if only a session has it."""

    @property
    @abstractmethod
    def one_writer(self) -> bool:
        """True for a database with one writer at a time, where isolation levels need no comparison."""

    @abstractmethod
    def unit(self, options: BlockOptions) -> AbstractAsyncContextManager[Transaction]:
        """Return a block with a unit of its own."""

    @abstractmethod
    def own_session(self, options: BlockOptions) -> AbstractAsyncContextManager[AsyncSession]:
        """Return a block with a session of its own, for callers that need no transaction to join."""

    @abstractmethod
    def sends_autocommit(self) -> bool:
        """Return True if one statement can be sent without a session now: no block is open in this context."""

    @abstractmethod
    def send_autocommit(self, statement: Executable, parameters: Mapping[str, Any]) -> Awaitable[Answer]:
        """Send one autocommit statement and return its answer; only if `sends_autocommit`."""

    @abstractmethod
    def reads(self) -> Reads | None:
        """Return the sender of a SELECT without locks that bypasses SQLAlchemy's session; None if a session must be
        used.
        """

    @abstractmethod
    def inside(self) -> InsideStatements | None:
        """Return the sender of the task's open transaction that bypasses SQLAlchemy's session; None without one."""

    @abstractmethod
    def refuse_second_writer(self, *, own_task_only: bool) -> None:
        """Raise `SecondWriterImpossible` if the database has one writer and an open block of this context holds it.
        Blocks inherited from the parent task count too, unless `own_task_only`.
        """

    @abstractmethod
    def retried(self) -> None:
        """Count a retry of a unit, after an error that left nothing stored."""

    # For DAOs and builders: the ambient session, else a short one. Outside a transaction, one statement commits by
    # itself; `several` statements run in one short transaction.

    def reading(self, *, several: bool = False, streaming: bool = False) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a session for a query. A `streaming` one is never shared, as the consumer's loop may run other
        statements between two rows.
        """
        return session_of(self, _STREAMS if streaming else _READS_SOME if several else _READS_ONCE)

    def writing(self, *, several: bool = False) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a session for a change."""
        return session_of(self, DEFAULT if several else _WRITES_ONCE)

    def autocommit_dialect(self) -> str | None:
        """Return the dialect if one statement can be sent without a session; None inside a block, and if the session
        provider isn't ours.
        """
        dialect = self.dialect if self.sends_autocommit() else None
        return None if dialect is None else dialect.name

    def dialect_of(self, session: AsyncSession) -> Dialect:
        """Return the dialect of a session."""
        dialect = self.dialect
        if dialect is not None:
            return dialect
        return session.bind.dialect if session.bind is not None else session.get_bind().dialect


@asynccontextmanager
async def session_of(source: SessionSource, options: BlockOptions) -> AsyncIterator[AsyncSession]:
    """Yield the ambient session of the source's owner, else a session of its own with these options."""
    block = own_block(source.owner)
    if block is not None:
        yield block.session
        return
    async with source.own_session(options) as session:
        yield session


class ThirdPartySource(SessionSource):
    """Source of a third-party provider, which is entered once per unit; its session is ambient, and its exit commits or
    rolls back. Only `autoflush` and `read_only` take effect: isolation and timeout are up to the provider.
    """

    dialect: Final = None
    one_writer: Final = True
    """True because its database is unknown, so isolation levels are not compared."""

    def __init__(self, provider: SessionProvider) -> None:
        self._provider = provider

    def owner(self) -> object:
        return self._provider

    @asynccontextmanager
    async def unit(self, options: BlockOptions) -> AsyncIterator[Transaction]:
        unit = Unit(
            name=options.name, read_only=options.read_only, transactional=options.transactional, third_party=True
        )
        generators: list[FrameType] = []
        calling_stack(generators=generators)
        unit.generators = generators_of(generators)
        unit.enter(calling_site(), parent=None)
        outer = ambient.get()
        outcome = Outcome.ROLLED_BACK
        normally = False
        try:
            async with self.own_session(options) as session:
                transaction = Transaction(unit, unit.root, session, owner=self._provider, outer=outer)
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
            if normally:  # False if the provider's exit swallowed the exception that left the block
                outcome = Outcome.COMMITTED
        finally:
            unit.outcome = outcome if options.transactional else None
            unit.end()
            await ending.run_hooks(unit)

    def own_session(self, options: BlockOptions) -> AbstractAsyncContextManager[AsyncSession]:
        return self._provider(autoflush=options.autoflush, read_only=options.read_only)

    def sends_autocommit(self) -> bool:
        return False

    async def send_autocommit(self, statement: Executable, parameters: Mapping[str, Any]) -> Answer:
        raise NotImplementedError  # `sends_autocommit` is always False

    def reads(self) -> None:
        return None

    def inside(self) -> None:
        return None

    def refuse_second_writer(self, *, own_task_only: bool) -> None:
        """Do nothing: its database is unknown."""

    def retried(self) -> None:
        """Do nothing: it has no monitor."""


def source_of(provider: SessionProvider) -> SessionSource:
    """Return the provider itself if it is a source, else an adapter for it."""
    return provider if isinstance(provider, SessionSource) else ThirdPartySource(provider)

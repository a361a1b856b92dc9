"""SessionSource: the interface through which blocks, DAOs and builders get sessions and send statements.

An engine's provider implements it (`session_provider`), and so does a fake; `third_party_source` adapts any other
provider.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from sqlalchemy import Dialect, Executable
from sqlalchemy.ext.asyncio import AsyncSession

from unitwork.connections.compiled_statements import Answer
from unitwork.sessions.inside_statement import InsideStatements
from unitwork.transactions.block_options import BlockOptions
from unitwork.transactions.transaction import Transaction, own_block


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
    def inside(self, session: AsyncSession) -> InsideStatements | None:
        """Return a sender for the session's transaction that bypasses SQLAlchemy; None if the session must be used."""

    @abstractmethod
    def refuse_second_writer(self, *, own_task_only: bool) -> None:
        """Raise `SecondWriterImpossible` if the database has one writer and an open block of this context holds it.
        Blocks inherited from the parent task count too, unless `own_task_only`.
        """

    @abstractmethod
    def retried(self) -> None:
        """Count a retry of a unit, after an error that left nothing stored."""


@asynccontextmanager
async def session_of(source: SessionSource, options: BlockOptions) -> AsyncIterator[AsyncSession]:
    """Yield the ambient session of the source's owner, else a session of its own with these options."""
    block = own_block(source.owner)
    if block is not None:
        yield block.session
        return
    async with source.own_session(options) as session:
        yield session

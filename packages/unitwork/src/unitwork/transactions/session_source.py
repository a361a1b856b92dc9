"""SessionSource: where blocks, DAOs and builders get sessions and send statements, whoever provides the sessions.

An engine's provider is one (`session_provider`), and so is a fake; `third_party_source` makes one of any other
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
    """One door to the database: nobody who goes through it asks what is behind it."""

    @abstractmethod
    def owner(self) -> object:
        """Return what its transactions belong to; those of one owner join."""

    @property
    @abstractmethod
    def dialect(self) -> Dialect | None:
        """The dialect of the engine in force; None where only a session can tell."""

    @property
    @abstractmethod
    def one_writer(self) -> bool:
        """True for a database with one writer at a time, which has no isolation levels to tell apart."""

    @abstractmethod
    def unit(self, options: BlockOptions) -> AbstractAsyncContextManager[Transaction]:
        """Return a block with a unit of its own."""

    @abstractmethod
    def own_session(self, options: BlockOptions) -> AbstractAsyncContextManager[AsyncSession]:
        """Return a block with a session of its own, for callers that need no transaction to join."""

    @abstractmethod
    def sends_autocommit(self) -> bool:
        """Return True where one statement can be sent without a session at this moment: nothing is around it."""

    @abstractmethod
    def send_autocommit(self, statement: Executable, parameters: Mapping[str, Any]) -> Awaitable[Answer]:
        """Send one statement that commits by itself, where `sends_autocommit`; return its answer."""

    @abstractmethod
    def inside(self, session: AsyncSession) -> InsideStatements | None:
        """Return what sends statements of the session's transaction by the driver; None where it takes the session."""

    @abstractmethod
    def refuse_second_writer(self, *, own_task_only: bool) -> None:
        """Raise `SecondWriterImpossible` where the database has one writer, and the chain of this task is it; that of
        the task it was started from counts too, unless `own_task_only`.
        """

    @abstractmethod
    def retried(self) -> None:
        """Count that a unit is begun anew, after an error that left nothing of it."""


@asynccontextmanager
async def session_of(source: SessionSource, options: BlockOptions) -> AsyncIterator[AsyncSession]:
    """Give the ambient session of the source's owner, else one of its own with these options."""
    block = own_block(source.owner)
    if block is not None:
        yield block.session
        return
    async with source.own_session(options) as session:
        yield session

"""ThirdPartySource: sessions of a third-party provider in blocks like ours.

The provider is entered once per unit, and its session is ambient; commit and rollback are the provider's exit.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import FrameType
from typing import Any, Final

from sqlalchemy import Executable
from sqlalchemy.ext.asyncio import AsyncSession

from unitwork.call_site import calling_site, calling_stack
from unitwork.connections.compiled_statements import Answer
from unitwork.errors import BlockNeverLeft, TransactionRolledBack
from unitwork.outcome import Outcome
from unitwork.sessions.session import SessionProvider
from unitwork.transactions import ending
from unitwork.transactions.abandonment import generators_of
from unitwork.transactions.block_options import BlockOptions
from unitwork.transactions.session_source import SessionSource
from unitwork.transactions.transaction import Transaction, ambient, leave
from unitwork.unit import Unit


class ThirdPartySource(SessionSource):
    """Source of a third-party provider. Only `autoflush` and `read_only` take effect: isolation and timeout are up to
    the provider.
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

    def inside(self, session: AsyncSession) -> None:
        return None

    def refuse_second_writer(self, *, own_task_only: bool) -> None:
        """Do nothing: its database is unknown."""

    def retried(self) -> None:
        """Do nothing: it has no monitor."""


def source_of(provider: SessionProvider) -> SessionSource:
    """Return the provider itself if it is a source, else an adapter for it."""
    return provider if isinstance(provider, SessionSource) else ThirdPartySource(provider)

"""Sessions: where a DAO and its builders run their statements. The ambient one, else a short one of their own."""

from contextlib import AbstractAsyncContextManager

from sqlalchemy import Dialect
from sqlalchemy.ext.asyncio import AsyncSession

from unitwork.sessions.session import SessionProvider
from unitwork.transactions.session_provider import EngineSessionProvider, session_of


class Sessions:
    """`several` is for what needs more than one statement: outside a transaction that is a unit of its own, while a
    lone statement commits by itself.
    """

    def __init__(self, provider: SessionProvider) -> None:
        self._provider = provider

    def reading(self, *, several: bool = False, streaming: bool = False) -> AbstractAsyncContextManager[AsyncSession]:
        """For a query. A stream's own session is nobody else's: the loop it feeds may do anything between two rows."""
        lone = not several and not streaming
        return session_of(self._provider, read_only=True, lone=lone, ambiently=not streaming)

    def writing(self, *, several: bool = False) -> AbstractAsyncContextManager[AsyncSession]:
        """For a change."""
        return session_of(self._provider, lone=not several)

    def alone(self) -> EngineSessionProvider | None:
        """What sends a statement without a session; None inside a block, and where the sessions come from elsewhere."""
        provider = self._provider
        return provider if isinstance(provider, EngineSessionProvider) and provider.alone else None

    def dialect(self) -> Dialect | None:
        """Of the engine in force; None where the sessions come from elsewhere, and their own bind tells."""
        provider = self._provider
        return provider.owner().dialect if isinstance(provider, EngineSessionProvider) else None

    def dialect_of(self, session: AsyncSession) -> Dialect:
        """The dialect a session of these speaks."""
        dialect = self.dialect()
        if dialect is not None:
            return dialect
        return session.bind.dialect if session.bind is not None else session.get_bind().dialect

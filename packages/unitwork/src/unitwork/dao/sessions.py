"""Sessions: give DAOs and builders a session, the ambient one or else a short one of their own."""

from collections.abc import Awaitable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from sqlalchemy import Dialect, Executable
from sqlalchemy.ext.asyncio import AsyncSession

from unitwork.connections.compiled_statements import Answer
from unitwork.sessions.inside_statement import InsideStatements
from unitwork.sessions.session import SessionProvider
from unitwork.transactions.block_options import BlockOptions
from unitwork.transactions.session_source import session_of
from unitwork.transactions.third_party_source import source_of

_WRITES_SOME = BlockOptions()
_READS_SOME = BlockOptions(read_only=True)
_STREAMS = BlockOptions(read_only=True, ambiently=False)
_READS_ONCE = BlockOptions(read_only=True, transactional=False, autocommit=True)
_WRITES_ONCE = BlockOptions(transactional=False, autocommit=True)


class Sessions:
    """Opens sessions for statements. Outside a transaction, one statement commits by itself; `several` statements run
    in one short transaction.
    """

    def __init__(self, provider: SessionProvider) -> None:
        self._source = source_of(provider)

    def reading(self, *, several: bool = False, streaming: bool = False) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a session for a query. A `streaming` one is never shared, as the consumer's loop may run other
        statements between two rows.
        """
        options = _STREAMS if streaming else _READS_SOME if several else _READS_ONCE
        return session_of(self._source, options)

    def writing(self, *, several: bool = False) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a session for a change."""
        return session_of(self._source, _WRITES_SOME if several else _WRITES_ONCE)

    def autocommit_dialect(self) -> str | None:
        """Return the dialect if one statement can be sent without a session; None inside a block, and if the session
        provider isn't ours.
        """
        dialect = self._source.dialect if self._source.sends_autocommit() else None
        return None if dialect is None else dialect.name

    def send_autocommit(self, statement: Executable, parameters: Mapping[str, Any]) -> Awaitable[Answer]:
        """Send one autocommit statement without a session. Only valid if `autocommit_dialect` returns a dialect."""
        return self._source.send_autocommit(statement, parameters)

    def inside(self, session: AsyncSession) -> InsideStatements | None:
        """Return the object that sends the transaction's statements directly by the driver; None if the
        session must.
        """
        return self._source.inside(session)

    def dialect(self) -> Dialect | None:
        """Return the dialect of the engine in force; None if the session provider isn't ours."""
        return self._source.dialect

    def dialect_of(self, session: AsyncSession) -> Dialect:
        """Return the dialect of a session."""
        dialect = self.dialect()
        if dialect is not None:
            return dialect
        return session.bind.dialect if session.bind is not None else session.get_bind().dialect

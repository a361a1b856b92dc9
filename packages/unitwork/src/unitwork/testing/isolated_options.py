"""IsolatedOptions: options of a database whose units are all inside one transaction that is never committed."""

from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.options import DatabaseOptions
from unitwork.sessions.session_factory import SessionFactory
from unitwork.testing.isolation.outer_transaction import OuterTransaction
from unitwork.testing.isolation.session_provider import IsolatedSessionProvider


class IsolatedOptions(DatabaseOptions):
    """Options to pass to a `Database` in place of the host's own; `outer` must end after the database."""

    outer: OuterTransaction

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "outer", OuterTransaction(self))

    def open_engine(self) -> AsyncEngine:
        """Return the engine of the one connection."""
        return self.outer.engine

    def session_provider(self, factory: SessionFactory) -> IsolatedSessionProvider:
        """Return a session provider whose units take turns."""
        return IsolatedSessionProvider(factory)

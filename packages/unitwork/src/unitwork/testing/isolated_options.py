"""IsolatedOptions: options of a database whose every unit is inside one transaction, which is never committed."""

from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.options import DatabaseOptions
from unitwork.sessions.session_factory import SessionFactory
from unitwork.testing.isolation.outer_transaction import OuterTransaction
from unitwork.testing.isolation.session_provider import IsolatedSessionProvider


class IsolatedOptions(DatabaseOptions):
    """For a `Database` that a host opens as it always does; `outer` ends after it."""

    outer: OuterTransaction

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "outer", OuterTransaction(self))

    def open_engine(self) -> AsyncEngine:
        """The engine of the one connection."""
        return self.outer.engine

    def session_provider(self, factory: SessionFactory) -> IsolatedSessionProvider:
        """One whose units take turns."""
        return IsolatedSessionProvider(factory)

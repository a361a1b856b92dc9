"""What the kit looks at: a `Database`, an engine, or a container that provides `engine` and `session_factory`."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.database import Database
from unitwork.sessions.session_factory import SessionFactory


def engine_of(subject: Any) -> AsyncEngine:
    """The engine in force."""
    if isinstance(subject, AsyncEngine):
        return subject
    engine: AsyncEngine = subject.engine if isinstance(subject, Database) else subject.engine()
    return engine


def factory_of(subject: Any) -> SessionFactory:
    """What makes its sessions."""
    factory: SessionFactory = subject.factory if isinstance(subject, Database) else subject.session_factory()
    return factory

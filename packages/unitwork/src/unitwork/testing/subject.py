"""Subjects of the kit: a `Database`, an engine, or a container that provides `engine` and `session_factory`."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.database import Database
from unitwork.sessions.session_factory import SessionFactory


def engine_of(subject: Any) -> AsyncEngine:
    """Return the subject's engine in force."""
    if isinstance(subject, AsyncEngine):
        return subject
    engine: AsyncEngine = subject.engine if isinstance(subject, Database) else subject.engine()
    return engine


def factory_of(subject: Any) -> SessionFactory:
    """Return the session factory of the subject."""
    factory: SessionFactory = subject.factory if isinstance(subject, Database) else subject.session_factory()
    return factory

"""Autoflush: switch it off for a block inside another."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.ext.asyncio import AsyncSession


@contextmanager
def flushing(session: AsyncSession, *, autoflush: bool) -> Iterator[None]:
    """Switch autoflush off inside the block; with True the session stays as it is."""
    before = session.sync_session.autoflush
    session.sync_session.autoflush = before and autoflush
    try:
        yield
    finally:
        session.sync_session.autoflush = before

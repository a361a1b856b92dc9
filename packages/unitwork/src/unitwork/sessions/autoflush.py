"""Autoflush: for the length of a block inside another's."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.ext.asyncio import AsyncSession


@contextmanager
def flushing(session: AsyncSession, *, autoflush: bool) -> Iterator[None]:
    """`autoflush=False` holds for the block; True leaves the session as it is."""
    before = session.sync_session.autoflush
    session.sync_session.autoflush = before and autoflush
    try:
        yield
    finally:
        session.sync_session.autoflush = before

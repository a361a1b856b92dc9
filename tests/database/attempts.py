"""A callback that fails as often as it is told, and the errors after which it is run again."""

from sqlalchemy.ext.asyncio import AsyncSession

from tests.database.tables import write
from unitwork import Retry
from unitwork.errors import (
    ConnectionLost,
    DatabaseUnavailable,
    DeadlockDetected,
    LockNotAvailable,
    SerializationFailure,
)

SOON = Retry(attempts=3, wait_initial=0, jitter=0.01)
UNDONE = [
    SerializationFailure("could not serialize access", sqlstate="40001"),
    SerializationFailure("database is locked", sqlstate="SQLITE_BUSY_SNAPSHOT"),
    DeadlockDetected("deadlock detected", sqlstate="40P01"),
    LockNotAvailable("database is locked", sqlstate="SQLITE_BUSY"),
    LockNotAvailable("SQLite's one writer was not free"),
    ConnectionLost("connection was closed in the middle of operation", sqlstate="08003"),
    DatabaseUnavailable("connection refused", "localhost:5432/gatehouse"),
]


class Work:
    """A callback that stores one note, and fails the first so many times afterwards."""

    def __init__(self, error: BaseException, *, failures: int, note: str = "kept") -> None:
        self.error = error
        self.failures = failures
        self.note = note
        self.sessions: list[AsyncSession] = []
        self.hooks: list[str] = []

    async def __call__(self, session: AsyncSession) -> int:
        self.sessions.append(session)
        attempt = len(self.sessions)
        session.info["transaction"].after_commit(lambda: self.hooks.append(f"{attempt} committed"))
        session.info["transaction"].after_rollback(lambda: self.hooks.append(f"{attempt} rolled back"))
        await write(session, self.note)
        if attempt <= self.failures:
            raise self.error
        return attempt

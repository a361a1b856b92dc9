"""Undone: errors after which nothing of a unit was stored, so that it may be run again."""

from typing import Final

from unitwork.errors.connection import DatabaseUnavailable
from unitwork.errors.driver import (
    ConnectionLost,
    DeadlockDetected,
    LockNotAvailable,
    SerializationFailure,
    StatementOutdated,
)
from unitwork.errors.transaction import TransactionRolledBack

UNDONE: Final = (SerializationFailure, DeadlockDetected, ConnectionLost, DatabaseUnavailable, StatementOutdated)
"""What says that nothing of the unit was stored, and that the next attempt may fare better."""


def undone(error: BaseException) -> BaseException | None:
    """Why another attempt makes sense after this error, which may be the caller's word for it; None when it doesn't."""
    cause: BaseException | None = error
    while isinstance(cause, TransactionRolledBack):
        cause = cause.__cause__
    if isinstance(cause, UNDONE):
        return cause
    if isinstance(cause, LockNotAvailable) and (cause.sqlstate is None or cause.sqlstate.startswith("SQLITE_")):
        return cause  # elsewhere somebody has asked not to wait
    return None

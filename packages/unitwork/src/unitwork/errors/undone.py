"""Undone: errors after which nothing of a unit was stored, so that it may be run again."""

from typing import Final

from unitwork.errors.connection import DatabaseUnavailable, NotPrimary
from unitwork.errors.driver import (
    ConnectionLost,
    DeadlockDetected,
    LockNotAvailable,
    SerializationFailure,
    StatementOutdated,
)
from unitwork.errors.transaction import TransactionRolledBack

UNDONE: Final = (
    SerializationFailure,
    DeadlockDetected,
    ConnectionLost,
    DatabaseUnavailable,
    NotPrimary,
    StatementOutdated,
)
"""Errors after which nothing of the unit is stored and another attempt may succeed."""


def undone(error: BaseException) -> BaseException | None:
    """Return the error after which another attempt may succeed, `error` itself or its cause; None without one."""
    cause: BaseException | None = error
    while isinstance(cause, TransactionRolledBack):
        cause = cause.__cause__
    if isinstance(cause, UNDONE):
        return cause
    if isinstance(cause, LockNotAvailable) and (cause.sqlstate is None or cause.sqlstate.startswith("SQLITE_")):
        return cause  # on other databases the caller has requested not to wait
    return None

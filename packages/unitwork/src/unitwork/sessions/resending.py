"""Resending: send an autocommit statement again if it had no effect.

Statements of a transaction are never sent again: what was read before the error may have changed. There the whole unit
is retried (`unitwork.transactions.retry`).
"""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from unitwork.errors import CommitOutcomeUnknown, ConnectionLost, StatementOutdated
from unitwork.unit import Unit

T = TypeVar("T")
STALE_CONNECTION_SECONDS: Final = 1.0
"""Seconds within which a connection that died while idle fails; a later failure means the statement was running."""
MAX_OUTDATED_ATTEMPTS: Final = 10
"""Maximum number of times a statement is sent while the schema changes under it."""
NOTHING_DONE: Final = (StatementOutdated, ConnectionLost, CommitOutcomeUnknown)
"""Errors after which an autocommit statement may be sent again."""


class Resending:
    """Decides, error by error, if one statement is sent again. `reads` returns True if it only reads and may be
    repeated over another connection.
    """

    def __init__(self, reads: Callable[[], bool]) -> None:
        self._reads = reads
        self._outdated = 0
        self._died = False

    def after(self, error: BaseException, begun: float) -> bool:
        """Return True if the statement is to be sent again after this error, one of `NOTHING_DONE`. `begun` is when it
        was sent, by `time.monotonic()`.
        """
        if isinstance(error, StatementOutdated):  # the outdated prepared statement was dropped
            self._outdated += 1
            return self._outdated < MAX_OUTDATED_ATTEMPTS
        if self._died or not self._reads() or time.monotonic() - begun > STALE_CONNECTION_SECONDS:
            return False
        self._died = True  # SQLAlchemy has dropped every connection that old by now
        return True


def send_again(unit: Unit, send: Callable[[], T], *, reads: Callable[[], bool]) -> T:
    """Return what `send` returns, which sends one statement for the unit, outside a transaction.

    Send it again when the server's plan was outdated; an autocommit read also once after a connection that died in the
    pool.
    """
    resending, begun = Resending(lambda: unit.autocommit and reads()), time.monotonic()
    while True:
        try:
            return send()
        except NOTHING_DONE as error:
            if not resending.after(error, begun):
                raise
        unit.statements, begun = 0, time.monotonic()

"""Sending a statement again: one that commits by itself, and has done nothing.

In a transaction nothing is: what was read before the error may no longer be so. There the whole unit goes again
(`unitwork.transactions.retry`).
"""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from unitwork.errors import CommitOutcomeUnknown, ConnectionLost, StatementOutdated
from unitwork.unit import Unit

T = TypeVar("T")
DEAD_AT_ONCE: Final = 1.0
"""Seconds within which a connection that died while it idled says so; one that says it later was at work."""
OUTDATED_TRIES: Final = 3
"""How often a statement is sent in all, while the schema changes under it."""
NOTHING_DONE: Final = (StatementOutdated, ConnectionLost, CommitOutcomeUnknown)
"""Errors after which a statement by itself may be sent again."""


class SentAgain:
    """Decides for one statement, error by error. `reads` tells whether it only reads, and may go over another
    connection.
    """

    def __init__(self, reads: Callable[[], bool]) -> None:
        self._reads = reads
        self._outdated = 0
        self._died = False

    def after(self, error: BaseException, begun: float) -> bool:
        """True when it is to be sent again after this error, one of `NOTHING_DONE`; it was sent at `begun`, by
        `time.monotonic()`.
        """
        if isinstance(error, StatementOutdated):  # what was prepared is forgotten
            self._outdated += 1
            return self._outdated < OUTDATED_TRIES
        if self._died or not self._reads() or time.monotonic() - begun > DEAD_AT_ONCE:
            return False
        self._died = True  # SQLAlchemy has by now dropped every connection that is as old
        return True


def send_again(unit: Unit, send: Callable[[], T], *, reads: Callable[[], bool]) -> T:
    """Return what `send` returns, which sends one statement for the unit, outside a transaction.

    Send it again when the server's plan was outdated, and, where it is an autocommit read, once when it met a
    connection that died in the pool.
    """
    again, begun = SentAgain(lambda: unit.autocommit and reads()), time.monotonic()
    while True:
        try:
            return send()
        except NOTHING_DONE as error:
            if not again.after(error, begun):
                raise
        unit.statements, begun = 0, time.monotonic()

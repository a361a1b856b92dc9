"""Sending a statement again: one that commits by itself, and has done nothing.

In a transaction nothing is: what was read before the error may no longer be so. There the whole unit goes again
(`database.retry`).
"""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from database.errors import CommitOutcomeUnknown, ConnectionLost, StatementOutdated
from database.unit import Unit

T = TypeVar("T")
DEAD_AT_ONCE: Final = 1.0
"""Seconds within which a connection that died while it idled says so; one that says it later was at work."""
OUTDATED_TRIES: Final = 3
"""How often a statement is sent in all, while the schema changes under it."""


def send_again(unit: Unit, send: Callable[[], T], *, reads: Callable[[], bool]) -> T:
    """What `send` returns; it sends one statement for the unit.

    It is sent again when it was outdated, and, where the unit is lone and it only reads, once when it met a connection
    which died in the pool: SQLAlchemy has by then dropped every connection that is as old.
    """
    if unit.transactional:
        return send()
    begun, outdated, died = time.monotonic(), 0, False
    while True:
        try:
            return send()
        except StatementOutdated:
            outdated += 1
            if outdated == OUTDATED_TRIES:
                raise
        except (ConnectionLost, CommitOutcomeUnknown):
            if died or not (unit.lone and reads()) or time.monotonic() - begun > DEAD_AT_ONCE:
                raise
            died = True
        unit.statements = 0

"""Outage: a broker that can't be used, seen by who goes on trying. Shared by relays and workers.

Brokers say so in many ways: refused connections, closed channels, a virtual host that is gone, a replica that takes no
writes, no memory left, a damaged file. Each may be over in a moment, so none of them ends a process that is at work.
"""

import asyncio
import logging
import time
from collections.abc import Iterator
from typing import Final

from services.messaging.broker import SOCKET_TIMEOUT, Broker
from services.messaging.publisher import BrokerRefused, BrokerUnavailable

log = logging.getLogger("gatehouse.outbox")

TOLD_EVERY: Final = 60.0
"""Seconds between two lines about one outage."""
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 2.0
"""Seconds between two attempts: so soon it is noticed that the outage is over."""
OVER_AFTER: Final = 10.0
"""Seconds without a failure after which the next one is another outage."""
REFUSALS: Final = frozenset({"AccessRefused", "NotAllowed", "AuthenticationError", "AuthorizationError",
                             "NoPermissionError"})  # fmt: skip
"""Types of the drivers' errors for credentials, permissions and virtual hosts that a broker refuses."""
REFUSED: Final = ("WRONGPASS", "NOAUTH", "NOPERM", "ACCESS_REFUSED")
"""Beginnings of brokers' answers of the same meaning, in errors of other types."""


async def refuse_hopeless(broker: Broker) -> None:
    """Connect to the broker once, at the start of a process. Raises `BrokerRefused` when it refuses that; whatever else
    keeps it from answering may be over soon.
    """
    try:
        await asyncio.to_thread(_connect, broker)
    except Exception as error:
        told = unavailable(error)
        if isinstance(told, BrokerRefused):
            raise told from error


def _connect(broker: Broker) -> None:
    from kombu import Connection  # noqa: PLC0415 - slow to import, and most processes use no broker

    options = broker.options_for_publishing()["broker_transport_options"]
    if not broker.embedded:
        with Connection(broker.url, connect_timeout=SOCKET_TIMEOUT, transport_options=options) as connection:
            connection.connect()


class Outage:
    """Pauses and log lines while a broker can't be used: the first failure is a warning, then one a minute."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.failures = 0
        """Failures since it began; 0 when there is none."""
        self.last: BaseException | None = None
        """The last failure."""
        self._told_at = self._began_at = 0.0
        self._over_at: float | None = None

    def failed(self, error: BaseException) -> float:
        """Record a failure; return the seconds to pause."""
        now = time.monotonic()
        if self._over_at is not None and now - self._over_at > OVER_AFTER:
            self.failures = 0
        self._over_at, self.last = None, error
        if not self.failures:
            self._began_at = now
        told = self.failures and now - self._told_at < TOLD_EVERY
        if not told:
            self._told_at = now
            since = f" for {now - self._began_at:.0f} s" if self.failures else ""
            log.warning("%s%s: %s", self._what, since, error)
        else:
            log.debug("%s: %s", self._what, error)
        self.failures += 1
        return float(min(FIRST_PAUSE * 2 ** min(self.failures - 1, 10), LONGEST_PAUSE))

    def over(self) -> None:
        """Record that the broker can be used again."""
        if self.failures and self._over_at is None:
            self._over_at = time.monotonic()
            log.info("it goes on after %.0f s and %d failures", self._over_at - self._began_at, self.failures)


def unavailable(error: BaseException) -> BrokerUnavailable:
    """Return the error of a broker's driver as our own, without its text, which may hold a URL with its password."""
    kinds = list(_chain(error))
    for one in kinds:
        if type(one).__name__ in REFUSALS or any(word in str(one)[:200] for word in REFUSED):
            return BrokerRefused(type(one).__name__)
    return BrokerUnavailable(type(kinds[-1]).__name__)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, at most ten, the innermost last."""
    current: BaseException | None = error
    for _ in range(10):
        if current is None:
            return
        yield current
        current = current.__cause__

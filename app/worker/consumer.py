"""Consumer: Celery's, which outlives its broker, whatever that answers."""

import logging
import time
import warnings
from collections.abc import Callable
from typing import Any, Final

from celery.exceptions import CPendingDeprecationWarning, WorkerShutdown
from celery.worker import consumer
from celery.worker.state import maybe_shutdown

from services.messaging.outage import TOLD_EVERY, Outage, unavailable
from services.messaging.publisher import BrokerRefused

log = logging.getLogger("gatehouse.worker")

CELERYS: Final = logging.getLogger("celery.worker.consumer.consumer")
KOMBUS: Final = logging.getLogger("kombu.transport.redis")
LOOK: Final = 0.1
"""Seconds between two looks at whether the worker is to stop."""


class Consumer(consumer.Consumer):
    """A consumer for which no answer of the broker is the end: it pauses, connects anew, and says so once a minute.

    Celery ends the worker at errors that its transport doesn't list: a channel that the broker closed as a permission
    is gone or an acknowledgement came too late, a virtual host that was deleted, a Redis that became a replica, a
    damaged file. Credentials that are refused at start are hopeless: the worker then ends with code 1.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.connection_errors = (Exception,)
        self._outage = Outage("tasks wait")
        KOMBUS.addFilter(ONCE_A_MINUTE)
        self._consumed = False
        """True when the broker has been usable once."""

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, however long that takes."""
        while True:
            maybe_shutdown()
            try:
                conn.connect()
            except Exception as error:  # noqa: BLE001 - each transport has errors of its own
                told = unavailable(error)
                if not self._consumed and isinstance(told, BrokerRefused):
                    log.critical("%s", told)
                    raise WorkerShutdown(1) from None
                self._wait(self._outage.failed(told))
            else:
                self.first_connection_attempt = False
                return conn

    def loop_args(self) -> Any:
        """Return the event loop's arguments: it consumes, so the broker can be used."""
        self._consumed = True
        self._outage.over()
        return super().loop_args()

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        self._wait(self._outage.failed(unavailable(exc)))

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Take the connection apart. Celery 5.7 closes one that is lost when it has taken it apart: with Redis that
        fails where messages are unacknowledged, with an AttributeError that ends the worker. Those messages come again
        anyway: after the visibility timeout, and from the outbox.
        """
        told = unavailable(exc)
        pause = self._outage.failed(told)
        log.debug("the consumer failed", exc_info=exc)
        connection = self.connection
        if connection is not None:
            connection.close = _as_far_as_it_goes(connection.close)  # type: ignore[method-assign]  # of this one
        if not self._consumed and isinstance(told, BrokerRefused):
            log.critical("%s", told)
            raise WorkerShutdown(1)
        CELERYS.addFilter(_nothing)  # its line for each attempt; ours is one a minute
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CPendingDeprecationWarning)  # of a default that is set on purpose
                super().on_connection_error_after_connected(exc)
        finally:
            CELERYS.removeFilter(_nothing)
        self._wait(pause)

    def _wait(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            maybe_shutdown()
            time.sleep(min(left, LOOK))


class OnceAMinute(logging.Filter):
    """A filter for warnings of a library that repeats one for as long as an outage lasts, each with its stack."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        now = time.monotonic()
        if now - self._told.get(str(record.msg), -TOLD_EVERY) < TOLD_EVERY:
            return False
        self._told[str(record.msg)] = now
        if record.exc_info and record.exc_info[0] is not None:
            record.msg, record.args = f"{record.getMessage()} ({record.exc_info[0].__name__})", ()
            record.exc_info = None
        return True


ONCE_A_MINUTE: Final = OnceAMinute()


def _nothing(_record: logging.LogRecord) -> bool:
    return False


def _as_far_as_it_goes(close: Callable[[], None]) -> Callable[[], None]:
    def close_as_far_as_it_goes() -> None:
        try:
            close()
        except Exception as error:  # noqa: BLE001 - the connection is lost already
            log.debug("a lost connection to the broker could not be closed: %s", type(error).__name__)

    return close_as_far_as_it_goes

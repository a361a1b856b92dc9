"""Consumer: Celery's, which outlives its broker."""

import logging

from celery.worker import consumer

log = logging.getLogger("gatehouse.worker")


class Consumer(consumer.Consumer):
    """Celery 5.7 closes a lost connection when it has taken it apart. With Redis that fails where messages are
    unacknowledged, with an AttributeError that ends the worker. Those messages come again anyway: after the visibility
    timeout, and from the outbox.
    """

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        connection = self.connection
        if connection is not None:
            close = connection.close

            def close_as_far_as_it_goes() -> None:
                try:
                    close()
                except Exception as error:  # noqa: BLE001 - the connection is lost already
                    log.debug("a lost connection to the broker could not be closed: %s", type(error).__name__)

            connection.close = close_as_far_as_it_goes  # type: ignore[method-assign]
        super().on_connection_error_after_connected(exc)

"""CeleryPublisher: publish messages as Celery tasks. Celery is imported on first use (docs/decisions/0045)."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from domain.outbox_message import OutboxMessage
from services.messaging.broker import ACTING_USER, BACKSTOP, DELIVER, POSITION, REQUEST_ID, TRACE_PARENT, Broker
from services.messaging.outage import unavailable
from unitwork import current_position


class Route(Protocol):
    """Queue and time limits of one topic's messages; None where they are those of all."""

    @property
    def queue(self) -> str | None: ...
    @property
    def soft_time_limit(self) -> float | None: ...
    @property
    def hard_time_limit(self) -> float | None: ...


class Routes(Protocol):
    """Routes by topic. The settings' section implements it."""

    def of(self, topic: str) -> Route: ...


class CeleryPublisher:
    """A `Publisher` that sends only a message's id: payloads stay in the database."""

    def __init__(self, broker: Callable[[], Broker], routes: Callable[[], Routes]) -> None:
        self._broker = broker
        self._routes = routes
        self._made: tuple[dict[str, Any], Any] | None = None
        """The Celery application, and the options it was created with."""

    async def publish(self, messages: Sequence[OutboxMessage]) -> None:
        """Send the messages in a thread, as Celery blocks."""
        await asyncio.to_thread(self._publish, messages)

    def _celery(self) -> Any:
        """Return an application for the current broker; it isn't set as Celery's current app."""
        options = self._broker().options_for_publishing()
        if self._made is not None and self._made[0] == options:
            return self._made[1]
        from celery import Celery  # noqa: PLC0415 - slow to import, and most processes send nothing

        application = Celery("gatehouse.publisher", set_as_current=False)
        application.conf.update(options)
        self._made = options, application
        return application

    def _publish(self, messages: Sequence[OutboxMessage]) -> None:
        try:
            celery = self._celery()
            with celery.producer_or_acquire() as producer:
                for message in messages:
                    celery.send_task(
                        DELIVER,
                        kwargs={"message_id": str(message.id)},
                        headers=_headers(message),
                        producer=producer,
                        **_options(self._routes().of(message.topic)),
                        ignore_result=True,
                    )
        except Exception as error:  # each broker's driver has errors of its own, which share no base
            self._forget()
            raise unavailable(error) from error

    def _forget(self) -> None:
        """Close the connections: a channel or a file that failed once isn't used again."""
        made, self._made = self._made, None
        if made is not None:
            with suppress(Exception):  # what is broken needn't be closed
                made[1].close()


def _options(route: Route) -> dict[str, Any]:
    hard = route.hard_time_limit
    options = {
        "queue": route.queue,
        "soft_time_limit": route.soft_time_limit,
        "time_limit": None if hard is None else hard + BACKSTOP,
    }
    return {name: value for name, value in options.items() if value is not None}


def _headers(message: OutboxMessage) -> dict[str, Any]:
    headers = {
        ACTING_USER: str(message.created_by),
        REQUEST_ID: message.request_id,
        TRACE_PARENT: message.trace_parent,
        POSITION: current_position(),  # the relay's, whose claim was committed after the message
    }
    return {name: value for name, value in headers.items() if value is not None}

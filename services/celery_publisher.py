"""CeleryPublisher: messages as Celery tasks."""

import asyncio
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from celery import Celery
from kombu.exceptions import KombuError

from domain.outbox_message import OutboxMessage
from services.broker import ACTING_USER, DELIVER, REQUEST_ID, TRACE_PARENT, Broker
from services.publisher import BrokerUnavailable


class CeleryPublisher:
    """A `Publisher`. What it sends names a message by its id: payloads stay in the database."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def publish(self, messages: Sequence[OutboxMessage]) -> None:
        """In a thread, as Celery blocks."""
        await asyncio.to_thread(self._publish, messages)

    @cached_property
    def _celery(self) -> Celery:
        return self._broker.for_publishing()

    def _publish(self, messages: Sequence[OutboxMessage]) -> None:
        try:
            with self._celery.producer_or_acquire() as producer:
                for message in messages:
                    self._celery.send_task(
                        DELIVER,
                        kwargs={"message_id": str(message.id)},
                        headers=_headers(message),
                        producer=producer,
                        ignore_result=True,
                    )
        except (KombuError, OSError) as error:
            cause = error.__cause__ or error
            raise BrokerUnavailable(type(cause).__name__) from error


def _headers(message: OutboxMessage) -> dict[str, Any]:
    headers = {
        ACTING_USER: str(message.created_by),
        REQUEST_ID: message.request_id,
        TRACE_PARENT: message.trace_parent,
    }
    return {name: value for name, value in headers.items() if value is not None}

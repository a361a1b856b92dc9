"""CeleryPublisher: messages as Celery tasks. Celery itself is imported by whoever sends (docs/decisions/0045)."""

import asyncio
from collections.abc import Sequence
from functools import cached_property
from typing import Any

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
    def _celery(self) -> Any:
        """An application that is nobody's current one."""
        from celery import Celery  # noqa: PLC0415 - slow to import, and most processes send nothing

        application = Celery("gatehouse.publisher", set_as_current=False)
        application.conf.update(self._broker.options_for_publishing())
        return application

    def _publish(self, messages: Sequence[OutboxMessage]) -> None:
        from kombu.exceptions import KombuError  # noqa: PLC0415 - likewise, a part of Celery

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

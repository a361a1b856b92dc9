"""InboxService: handle messages that reached a worker, and record the outcome."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from enum import StrEnum

from domain.errors import DomainError
from domain.outbox_message import ERROR_LENGTH, OutboxMessage, pause
from repositories.outbox_dao import OutboxDao
from unitwork.errors import UnitworkError
from unitwork.models import acting_as, utc_now

log = logging.getLogger("gatehouse.outbox")

Handler = Callable[[OutboxMessage], Awaitable[object]]
"""Handles a message. In the transaction of its effects it must call `InboxDao.take(message.id)`, and have no effects if
that returns False. An effect that can't be rolled back, such as a mail, comes before that transaction and carries the
message's id, so that the receiver can detect duplicates.
"""


class Handled(StrEnum):
    """The outcome of a delivery."""

    HANDLED = "handled"
    """The handler has succeeded."""
    NOT_WAITING = "not waiting"
    """The message was done before, or is parked."""
    FAILED = "failed"
    PARKED = "parked"


class InboxService:
    """Handles outbox messages in the workers."""

    def __init__(
        self,
        outbox: OutboxDao,
        handlers: Mapping[str, Handler],
        attempts: int,
        backoff: timedelta,
        backoff_max: timedelta,
    ) -> None:
        self._outbox = outbox
        self._handlers = handlers
        self._attempts = attempts
        self._backoff = backoff
        self._backoff_max = backoff_max

    async def handle(self, message_id: int) -> Handled:
        """Handle one delivery.

        A message may be delivered any number of times, also concurrently: its effects are committed once. An exception
        of the handler is stored with the message, which is retried or parked; it isn't raised. If this is cancelled or
        killed, the relay delivers the message again.
        """
        message = await self._outbox.begin(message_id, at=utc_now())
        if message is None:
            return Handled.NOT_WAITING
        handler = self._handlers.get(message.topic)
        if handler is None:
            return await self._failed(message, f"nobody handles {message.topic}", park=True)
        if message.attempts > self._attempts:
            return await self._failed(message, message.error or "begun too often without coming to its end", park=True)
        try:
            with acting_as(message.created_by):  # as stored: the headers of the delivery aren't trusted
                await handler(message)
        except Exception as error:
            log.exception("message %d (%s) failed in attempt %d", message.id, message.topic, message.attempts)
            return await self._failed(message, _told(error), park=message.attempts >= self._attempts)
        return Handled.HANDLED

    async def _failed(self, message: OutboxMessage, error: str, *, park: bool) -> Handled:
        now = utc_now()
        due_at = now + pause(self._backoff, message.attempts - 1, longest=self._backoff_max)
        await self._outbox.failed(message.id, at=now, due_at=due_at, error=error[:ERROR_LENGTH], park=park)
        if park:
            log.error("message %d (%s) is parked: %s", message.id, message.topic, error)
        return Handled.PARKED if park else Handled.FAILED


def _told(error: Exception) -> str:
    """Return our own error's message, which contains no user input; of other errors only the type. The log has the
    stack.
    """
    ours = isinstance(error, (UnitworkError, DomainError))
    return f"{type(error).__name__}: {error}" if ours else type(error).__name__

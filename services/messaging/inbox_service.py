"""InboxService: has a message that reached a worker handled, and keeps what became of it."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from enum import StrEnum

from domain.errors import DomainError
from domain.outbox_message import ERROR_LENGTH, OutboxMessage, pause
from repositories.outbox_dao import OutboxDao
from unitwork.errors import UnitworkError
from unitwork.models import utc_now

log = logging.getLogger("gatehouse.outbox")

Handler = Callable[[OutboxMessage], Awaitable[object]]
"""Does what a message says. In the transaction of its effects it calls `InboxDao.take(message.id)`, and has none where
that is False. What can't be rolled back, such as a mail, comes before that transaction and carries the message's id, by
which the receiver knows it again.
"""


class Handled(StrEnum):
    """What became of a delivery."""

    HANDLED = "handled"
    """Its handler has come to its end."""
    NOT_WAITING = "not waiting"
    """It was done before, or is parked."""
    FAILED = "failed"
    PARKED = "parked"


class InboxService:
    """The workers' side of the outbox."""

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
        """Handle one delivery. A message may be delivered any number of times, at once too: its effects are committed
        once. What a handler raises is kept with the message, which is then tried again, or parked; it isn't raised.

        Cancelled, or killed, it leaves the message to the relay.
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
    """Our own errors quote nothing that people have typed; of others the type is told, and the log has the stack."""
    ours = isinstance(error, (UnitworkError, DomainError))
    return f"{type(error).__name__}: {error}" if ours else type(error).__name__

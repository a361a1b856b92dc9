"""InboxService: handle messages that reached a worker, and record the outcome."""

import logging
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final, Protocol

import anyio

from domain.errors import DomainError
from domain.outbox_message import ERROR_LENGTH, OutboxMessage, pause
from repositories.inbox_dao import InboxDao
from repositories.job_dao import JobDao
from repositories.outbox_dao import OutboxDao
from services.messaging.delivery import Delivery, HandOver, LeaseLost
from services.messaging.handlers import Handler, HandlerError, declared
from unitwork import TransactionProvider
from unitwork.errors import UnitworkError
from unitwork.models import acting_as, utc_now

log = logging.getLogger("gatehouse.outbox")

RECORDED_WITHIN: Final = 5.0
"""Seconds that a cancelled delivery has to record its end."""


class TopicRetries(Protocol):
    """Attempts, pauses and the time limit of one topic's messages; the limit is None where it is the workers' own."""

    @property
    def max_attempts(self) -> int | None: ...
    @property
    def backoff(self) -> timedelta | None: ...
    @property
    def backoff_max(self) -> timedelta | None: ...
    @property
    def soft_time_limit(self) -> float | None: ...


class Retries(Protocol):
    """Leases, attempts and pauses of deliveries. The settings' section implements it."""

    @property
    def lease(self) -> timedelta: ...
    @property
    def max_attempts(self) -> int: ...
    @property
    def backoff(self) -> timedelta: ...
    @property
    def backoff_max(self) -> timedelta: ...
    def of(self, topic: str) -> TopicRetries: ...


class Handled(StrEnum):
    """The outcome of a delivery."""

    HANDLED = "handled"
    """The handler has succeeded, and the message is done."""
    NOT_WAITING = "not waiting"
    """The message was done before, or is parked."""
    HELD = "held"
    """Another worker has the message, or its pause isn't over: it is delivered again."""
    HANDED_OVER = "handed over"
    """The work came further, and goes on with the next delivery."""
    LOST = "lost"
    """The message became another worker's, or was withdrawn, while it was handled. Nothing more was committed."""
    FAILED = "failed"
    PARKED = "parked"


class InboxService:
    """Handles outbox messages in the workers."""

    def __init__(
        self,
        transaction: TransactionProvider,
        outbox: OutboxDao,
        inbox: InboxDao,
        jobs: JobDao,
        handlers: Mapping[str, Handler],
        retries: Retries,
    ) -> None:
        self._transaction = transaction
        self._outbox = outbox
        self._inbox = inbox
        self._jobs = jobs
        self._handlers = handlers
        self._retries = retries

    async def handle(self, message_id: int, *, within: timedelta | None = None) -> Handled:
        """Handle one delivery. `within` is the time after which it is cancelled, if it is.

        A message may be delivered any number of times, also concurrently: one delivery at a time has it, and its
        effects are committed once. An exception of the handler is stored with the message, which is retried or parked;
        it isn't raised. If this is killed, the relay delivers the message again when its lease ends.
        """
        delivery = Delivery(self._transaction, self._outbox, self._inbox, self._retries.lease)
        message = await delivery.begin(message_id)
        if message is None:
            return Handled.HELD if await self._outbox.waits(message_id) else Handled.NOT_WAITING
        limit = self._retries.of(message.topic).soft_time_limit
        delivery.limit(within if limit is None else timedelta(seconds=limit))
        if message.attempts > self._most(message):
            told = message.error or "no worker came to its end: each was killed, or ended itself"
            return await self._failed(delivery, message, told, park=True)
        handler = self._handlers.get(message.topic)
        if handler is None:  # during a rollout a worker of the next release may know it
            return await self._failed(delivery, message, f"nobody handles {message.topic}")
        try:
            with acting_as(message.created_by):  # as stored: the headers of the delivery aren't trusted
                await declared(message.topic, handler)(message, delivery)
        except HandOver:
            await self._outbox.hand_over(message.id, delivery.holder, at=utc_now())
            return Handled.HANDED_OVER
        except LeaseLost as error:
            log.warning("message %d (%s) is left: %s", message.id, message.topic, error)
            return Handled.LOST
        except HandlerError as error:
            return await self._failed(delivery, message, str(error), park=True)
        except Exception as error:
            log.exception("message %d (%s) failed in attempt %d", message.id, message.topic, message.attempts)
            return await self._failed(delivery, message, _told(error))
        except BaseException:
            with anyio.move_on_after(RECORDED_WITHIN, shield=True):
                told = "cancelled, by its time limit or as the worker stopped"
                await self._failed(delivery, message, told)
            raise
        return Handled.HANDLED

    async def _failed(self, delivery: Delivery, message: OutboxMessage, error: str, *, park: bool = False) -> Handled:
        """Record a failed attempt; park the message at once, or when its attempts are used up. A job whose message is
        parked has failed, and lets its file go.
        """
        now = utc_now()
        attempts = 1 if delivery.moved else message.attempts
        park = park or attempts >= self._most(message)
        own = self._retries.of(message.topic)
        longest = own.backoff_max or self._retries.backoff_max
        due_at = now + pause(own.backoff or self._retries.backoff, attempts - 1, longest=longest)
        told = error[:ERROR_LENGTH]
        async with self._transaction(name="message failed"):
            recorded = await self._outbox.failed(
                message.id, at=now, due_at=due_at, error=told, park=park, holder=delivery.holder
            )
            if recorded and park and message.job_id is not None:
                given_up = f"given up after {attempts} attempts without progress: {error}"
                await self._jobs.fail(message.job_id, error=given_up, at=now)
        if not recorded:  # an error of the commit itself, after which it is done all the same; or withdrawn
            return Handled.HANDLED if await self._inbox.done([message.id]) else Handled.LOST
        if park:
            log.error("message %d (%s) is parked: %s", message.id, message.topic, error)
        return Handled.PARKED if park else Handled.FAILED

    def _most(self, message: OutboxMessage) -> int:
        return self._retries.of(message.topic).max_attempts or self._retries.max_attempts


def _told(error: Exception) -> str:
    """Return our own error's message, which contains no user input; of other errors only the type. The log has the
    stack.
    """
    ours = isinstance(error, (UnitworkError, DomainError))
    return f"{type(error).__name__}: {error}" if ours else type(error).__name__

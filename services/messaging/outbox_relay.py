"""OutboxRelay: publish outbox messages to the broker, repeatedly until each is done."""

import asyncio
from datetime import timedelta
from typing import Final

from repositories.outbox_dao import OutboxDao
from services.messaging.outage import Outage
from services.messaging.publisher import BrokerUnavailable, Publisher
from unitwork import NotificationListener, TransactionProvider, reading_after
from unitwork.errors import DatabaseError
from unitwork.models import utc_now

CHANNEL: Final = "gatehouse_outbox"
"""PostgreSQL's notification channel for new messages (migration 0004)."""
FIRST_PAUSE: Final = timedelta(seconds=0.25)
"""Pause before messages that the broker refused are due again."""


class OutboxRelay:
    """Publishes due messages. Any number of relays may run: each claims its own batch. Messages claimed by a relay that
    is killed are due again after `redeliver_after`.
    """

    def __init__(
        self,
        transaction: TransactionProvider,
        outbox: OutboxDao,
        publisher: Publisher,
        notification_listener: NotificationListener,
        batch: int,
        poll_interval: float,
        redeliver_after: timedelta,
    ) -> None:
        self._transaction = transaction
        self._outbox = outbox
        self._publisher = publisher
        self._notifications = notification_listener
        self._batch = batch
        self._poll_interval = poll_interval
        self._redeliver_after = redeliver_after

    async def relay(self) -> int:
        """Publish one batch of due messages, outside any transaction; return their number.

        Raises `BrokerUnavailable`: then the batch is due again after a pause.
        """
        with reading_after():
            return await self._relay()

    async def _relay(self) -> int:
        now = utc_now()
        async with self._transaction(name="claim messages"):
            messages = await self._outbox.claim(self._batch, now=now, redeliver_after=self._redeliver_after)
        if not messages:
            return 0
        ids = [message.id for message in messages]
        try:
            await self._publisher.publish(messages)
        except BrokerUnavailable as error:
            now = utc_now()
            await self._outbox.not_published(ids, at=now, due_at=now + FIRST_PAUSE, error=error.kind)
            raise
        await self._outbox.published(ids, at=utc_now())
        return len(messages)

    async def run(self) -> None:
        """Relay until cancelled. Failures of the broker and the database are logged and retried."""
        outage = Outage("messages wait")
        async with self._notifications.listening(CHANNEL) as notification:
            while True:
                notification.clear()
                try:
                    relayed = await self.relay()
                except (BrokerUnavailable, DatabaseError) as error:
                    await asyncio.sleep(outage.failed(error))
                    continue
                if relayed or not isinstance(outage.last, BrokerUnavailable):
                    outage.over()
                if relayed < self._batch:
                    await notification.wait(self._poll_interval)

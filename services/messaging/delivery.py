"""Delivery: one delivery of a message to a worker, and the lease by which no other worker has it meanwhile.

LeaseLost    the message is another worker's, was withdrawn, or the lease could not be renewed
HandOver     not an error: the rest of the work is for the next delivery
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from secrets import randbits
from typing import Final, Self

import anyio

from domain.outbox_message import OutboxMessage
from repositories.inbox_dao import InboxDao
from repositories.outbox_dao import OutboxDao
from unitwork import TransactionProvider, current_transaction
from unitwork.errors import UnitworkError
from unitwork.models import utc_now

log = logging.getLogger("gatehouse.outbox")

RENEWALS: Final = 4
"""Renewals in the time of a lease."""
USABLE: Final = 0.75
"""Share of a lease after which work that could not renew it is cancelled, so that it has ended when the lease does."""
SHARE: Final = 0.5
"""Share of the time limit after which the work is handed over to the next delivery."""


class LeaseLost(Exception):
    """The message is no longer this delivery's: nothing more of it may be committed."""

    def __str__(self) -> str:
        return "the message is another worker's by now, was withdrawn, or its lease could not be renewed"


class HandOver(Exception):
    """The work goes on with the next delivery."""


class Delivery:
    """A message that a worker has begun. It holds the message until its lease ends, and renews that while it works."""

    def __init__(
        self,
        transaction: TransactionProvider,
        outbox: OutboxDao,
        inbox: InboxDao,
        lease: timedelta,
    ) -> None:
        self._transaction = transaction
        self._outbox = outbox
        self._inbox = inbox
        self._lease = lease
        self._hand_over_after: float | None = None
        self._begun = self._renewed_at = time.monotonic()
        self._last = False
        self.moved = False
        """True when a step is committed: the attempts are counted anew."""
        self.holder: Final = randbits(62)
        """Number by which the message's row names this delivery."""
        self.done = False
        """True when the last step is committed."""
        self.message: OutboxMessage | None = None

    async def begin(self, message_id: int) -> OutboxMessage | None:
        """Take the message for the time of the lease and count an attempt. None if it is done, parked, not due yet or
        another worker's.
        """
        now = utc_now()
        self.message = await self._outbox.begin(message_id, at=now, until=now + self._lease, holder=self.holder)
        return self.message

    def limit(self, within: timedelta | None) -> None:
        """Set the time after which this delivery is cancelled; None for no such time."""
        self._hand_over_after = None if within is None else within.total_seconds() * SHARE

    async def progress(self) -> None:
        """Record, in the transaction of a step, that the work has come further: the lease is renewed and its attempts
        are counted anew. Raises `LeaseLost`.
        """
        moment = time.monotonic()
        if not await self._renew(moved=True):
            raise LeaseLost

        def committed() -> None:
            self._renewed_at, self.moved = moment, True

        transaction = current_transaction()
        if transaction is None:
            committed()
        else:
            transaction.after_commit(committed)

    def hand_over_if_due(self) -> None:
        """Raise `HandOver` when a step is committed and half the time limit is over: the next delivery goes on."""
        late = self._hand_over_after is not None and time.monotonic() - self._begun > self._hand_over_after
        if late and self.moved:
            raise HandOver

    @asynccontextmanager
    async def last_step(self) -> AsyncIterator[None]:
        """Open the transaction that takes the message: it is done when this is committed. Raises `LeaseLost`."""
        self._last = True
        try:
            async with self._transaction(name=f"handle {self._begun_message.topic}"):
                if not await self._inbox.take(self._begun_message.id):
                    raise LeaseLost
                yield
            self.done = True
        finally:
            self._last = self.done

    @asynccontextmanager
    async def renewed(self) -> AsyncIterator[Self]:
        """Renew the lease until the block ends. Cancels the block, and raises `LeaseLost`, when it is lost."""
        with anyio.CancelScope() as scope:
            renewals = asyncio.create_task(self._keep_renewing(scope))
            try:
                yield self
            finally:
                renewals.cancel()
                await asyncio.wait((renewals,))
        if scope.cancelled_caught:
            raise LeaseLost

    @property
    def _begun_message(self) -> OutboxMessage:
        assert self.message is not None  # noqa: S101 - begun
        return self.message

    async def _keep_renewing(self, scope: anyio.CancelScope) -> None:
        seconds = self._lease.total_seconds()
        while True:
            await asyncio.sleep(seconds / RENEWALS)
            moment = time.monotonic()
            ends = self._renewed_at + seconds * USABLE
            try:
                async with asyncio.timeout(max(ends - moment, 0)):
                    mine = await self._renew()
            except (UnitworkError, TimeoutError) as error:
                mine = time.monotonic() < ends
                log.warning("the lease of message %d was not renewed: %s", self._begun_message.id, type(error).__name__)
            else:
                self._renewed_at = moment if mine else self._renewed_at
            if not mine and not self._last:
                scope.cancel()
                return

    async def _renew(self, *, moved: bool = False) -> bool:
        until = utc_now() + self._lease
        return await self._outbox.renew(self._begun_message.id, self.holder, until=until, moved=moved)

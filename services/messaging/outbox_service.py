"""OutboxService: store messages with the work that causes them, and manage those that aren't done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from domain import OutboxMessage
from domain.trace_parent import current_trace_parent
from repositories.errors import MessageNotFound
from repositories.job_dao import JobDao
from repositories.outbox_dao import OutboxDao, OutboxLag
from unitwork import Propagation, TransactionProvider
from unitwork.models import current_request_id, utc_now


@dataclass(frozen=True)
class OutboxPage:
    """Messages that aren't done, oldest first; `next_cursor` is None on the last page."""

    items: Sequence[OutboxMessage]
    next_cursor: str | None


class OutboxService:
    """Manages the outbox. A message is committed or rolled back with its transaction. After that it is delivered at
    least once, in no particular order, and is done exactly once.
    """

    def __init__(self, transaction: TransactionProvider, outbox: OutboxDao, jobs: JobDao) -> None:
        self._transaction = transaction
        self._outbox = outbox
        self._jobs = jobs

    async def append(self, topic: str, payload: Mapping[str, Any], *, after: timedelta | None = None) -> OutboxMessage:
        """Store a message in the ambient transaction, with the acting user, the request and its trace. It is delivered
        once that has committed, and not before `after` is over.

        The payload holds ids and nothing secret. Raises `NoActiveTransaction` outside a transaction, `UnusableTopic`
        and `UnusablePayload`.
        """
        message = OutboxMessage.create(
            topic, payload, request_id=current_request_id(), trace_parent=current_trace_parent(), after=after
        )
        async with self._transaction(Propagation.MANDATORY):
            return await self._outbox.add(message)

    async def append_many(self, topic: str, payloads: Sequence[Mapping[str, Any]]) -> None:
        """Store a message for each payload in the ambient transaction, as `append` does."""
        request_id, trace_parent = current_request_id(), current_trace_parent()
        async with self._transaction(Propagation.MANDATORY):
            await self._outbox.add_many(
                [
                    OutboxMessage.create(topic, payload, request_id=request_id, trace_parent=trace_parent)
                    for payload in payloads
                ]
            )

    async def list(self, *, parked: bool | None = None, limit: int = 50, cursor: str | None = None) -> OutboxPage:
        """Return one page of messages that aren't done; `why_not_done()` of each gives the reason. Raises
        `InvalidCursor`.
        """
        query = self._outbox.query()
        if parked is not None:
            query = query.is_not_null("parked_at") if parked else query.is_null("parked_at")
        page = await query.order_by("id").after(cursor, limit)
        return OutboxPage(page.items, page.next_cursor)

    async def get(self, message_id: int) -> OutboxMessage:
        """Return a message that isn't done. Raises `MessageNotFound`."""
        return await self._outbox.get(message_id)

    async def retry(self, message_id: int) -> None:
        """Make a message due at once, even if it is parked. Raises `MessageNotFound`."""
        if not await self._outbox.retry(message_id, at=utc_now()):
            raise MessageNotFound(message_id)

    async def retry_parked(self, topic: str | None = None) -> int:
        """Make all parked messages, or those of a topic, due at once; return their number."""
        return await self._outbox.retry_parked(at=utc_now(), topic=topic)

    async def discard(self, message_id: int) -> OutboxMessage:
        """Delete a message that isn't done, and return what it was; a worker that has it commits nothing more of it. A
        job that it runs has failed then, and lets its file go. Raises `MessageNotFound`.
        """
        async with self._transaction(name="discard message"):
            message = await self._outbox.withdraw(message_id)
            if message is None:
                raise MessageNotFound(message_id)
            if message.job_id is not None:
                await self._jobs.fail(message.job_id, error="its message was discarded by an operator", at=utc_now())
            return message

    async def lag(self) -> OutboxLag:
        """Return the number and age of waiting messages. Cheap: messages that are done aren't stored."""
        return await self._outbox.lag(at=utc_now())

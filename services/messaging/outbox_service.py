"""OutboxService: messages that are stored with the work that causes them, and what became of those."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain import OutboxMessage
from domain.trace_parent import current_trace_parent
from repositories.errors import MessageNotFound
from repositories.outbox_dao import OutboxDao, OutboxLag
from unitwork import Propagation, TransactionProvider
from unitwork.models import current_request_id, utc_now


@dataclass(frozen=True)
class OutboxPage:
    """Messages that aren't done, the oldest first; `next_cursor` is None on the last page."""

    items: Sequence[OutboxMessage]
    next_cursor: str | None


class OutboxService:
    """A message is committed, or rolled back, with its transaction. It is delivered at least once after that, in no
    particular order, and is done exactly once.
    """

    def __init__(self, transaction: TransactionProvider, outbox: OutboxDao) -> None:
        self._transaction = transaction
        self._outbox = outbox

    async def append(self, topic: str, payload: Mapping[str, Any]) -> OutboxMessage:
        """Store a message in the ambient transaction; the acting user, the request and its trace go with it. Payloads
        hold ids, and nothing secret. Raises `NoActiveTransaction` outside a transaction.
        """
        message = OutboxMessage.create(
            topic, payload, request_id=current_request_id(), trace_parent=current_trace_parent()
        )
        async with self._transaction(Propagation.MANDATORY):
            return await self._outbox.add(message)

    async def list(self, *, parked: bool | None = None, limit: int = 50, cursor: str | None = None) -> OutboxPage:
        """One page of what isn't done; `why_not_done()` of each tells the reason. Raises `InvalidCursor`."""
        query = self._outbox.query()
        if parked is not None:
            query = query.is_not_null("parked_at") if parked else query.is_null("parked_at")
        page = await query.order_by("id").after(cursor, limit)
        return OutboxPage(page.items, page.next_cursor)

    async def get(self, message_id: int) -> OutboxMessage:
        """A message that isn't done. Raises `MessageNotFound`."""
        return await self._outbox.get(message_id)

    async def retry(self, message_id: int) -> None:
        """Have it tried again at once, parked or not. Raises `MessageNotFound`."""
        if not await self._outbox.retry(message_id, at=utc_now()):
            raise MessageNotFound(message_id)

    async def retry_parked(self) -> int:
        """Have all parked ones tried again at once; how many."""
        return await self._outbox.retry_parked(at=utc_now())

    async def lag(self) -> OutboxLag:
        """How far the outbox is behind. Cheap: what is done isn't in it."""
        return await self._outbox.lag()

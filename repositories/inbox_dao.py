"""InboxDao: the ids of messages that are done."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select

from domain.inbox_message import InboxMessage
from domain.outbox_message import OutboxMessage
from unitwork.dao import BaseDao


class InboxDao(BaseDao[InboxMessage]):
    """Messages that are done, by id."""

    async def take(self, message_id: int) -> bool:
        """Mark the message as done in the current transaction. True for one caller only; another must have no effects.

        A concurrent caller waits until the first one's transaction has ended.
        """
        async with self._session() as session:
            locked = select(OutboxMessage.topic).where(OutboxMessage.id == message_id).with_for_update()
            topic = await session.scalar(locked)
            if topic is None:
                return False
            session.add(InboxMessage(id=message_id, topic=topic))
            await session.flush()
            await session.execute(delete(OutboxMessage).where(OutboxMessage.id == message_id))
            return True

    async def done(self, message_ids: Sequence[int]) -> set[int]:
        """Return those of the ids that are done."""
        return set(await self.query().in_("id", message_ids).scalars("id"))

    async def forget(self, limit: int, *, before: datetime) -> int:
        """Delete at most `limit` rows from before this moment; return their number. Their messages no longer exist."""
        old = (
            select(InboxMessage.id).where(InboxMessage.done_at < before).limit(limit).with_for_update(skip_locked=True)
        )
        async with self._session() as session:
            ids = (await session.scalars(old)).all()
            if ids:
                await session.execute(delete(InboxMessage).where(InboxMessage.id.in_(ids)))
        return len(ids)

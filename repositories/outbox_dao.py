"""OutboxDao: messages that aren't done, and the relay's, the worker's and the operator's ways to ask for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from domain.outbox_message import OutboxMessage, pause
from repositories.errors import MessageNotFound
from unitwork.dao import BaseDao


@dataclass(frozen=True)
class OutboxLag:
    """How far the outbox is behind. `waiting` and `oldest` leave parked messages out."""

    waiting: int
    parked: int
    oldest: datetime | None
    """When the oldest that waits was stored."""


class OutboxDao(BaseDao[OutboxMessage]):
    """A message is here until it is done. What is claimed is locked, and skipped by others, until the transaction ends;
    on SQLite its one writer does as much.
    """

    not_found = MessageNotFound

    async def claim(self, limit: int, *, now: datetime, redeliver_after: timedelta) -> Sequence[OutboxMessage]:
        """Messages that are due, the longest due first. They are due again after `redeliver_after`, doubled with each
        earlier publication: nobody else gets them before. Needs a transaction.
        """
        statement = (
            select(OutboxMessage)
            .where(OutboxMessage.parked_at.is_(None), OutboxMessage.due_at <= now)
            .order_by(OutboxMessage.due_at, OutboxMessage.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        async with self._session() as session:
            messages = (await session.scalars(statement)).all()
            for message in messages:
                session.expunge(message)  # what follows need not keep them in step
        by_publications: dict[int, list[int]] = {}
        for message in messages:
            by_publications.setdefault(message.publications, []).append(message.id)
        for publications, ids in by_publications.items():
            due_at = now + pause(redeliver_after, publications)
            await self.update().in_("id", ids).set(due_at=due_at).execute()
        return messages

    async def published(self, ids: Sequence[int], *, at: datetime) -> None:
        """The broker has taken them. Those that are done meanwhile are gone, and stay so."""
        if ids:
            await self.update().in_("id", ids).increment("publications").set(published_at=at).execute()

    async def not_published(self, ids: Sequence[int], *, at: datetime, due_at: datetime, error: str) -> None:
        """The broker has not taken them, which is no fault of theirs."""
        if ids:
            await self.update().in_("id", ids).set(due_at=due_at, failed_at=at, error=error).execute()

    async def begin(self, id: int, *, at: datetime) -> OutboxMessage | None:
        """Count an attempt; None when the message is done or parked."""
        if (
            not await self.update()
            .eq("id", id)
            .is_null("parked_at")
            .increment("attempts")
            .set(attempted_at=at)
            .execute()
        ):
            return None
        return await self.get_or_none(id)

    async def failed(self, id: int, *, at: datetime, due_at: datetime, error: str, park: bool) -> None:
        """An attempt has failed: tried again at `due_at`, or parked."""
        parked_at = at if park else None
        await self.update().eq("id", id).set(due_at=due_at, failed_at=at, error=error, parked_at=parked_at).execute()

    async def retry(self, id: int, *, at: datetime) -> bool:
        """Due now, parked or not, with all attempts before it; False when it is done."""
        return await self.update().eq("id", id).set(due_at=at, parked_at=None, attempts=0).execute() > 0

    async def retry_parked(self, *, at: datetime) -> int:
        """All that are parked, likewise; how many."""
        return await self.update().is_not_null("parked_at").set(due_at=at, parked_at=None, attempts=0).execute()

    async def lag(self) -> OutboxLag:
        """One statement over what isn't done."""
        parked = func.count(OutboxMessage.parked_at)
        oldest = select(func.min(OutboxMessage.created_at)).where(OutboxMessage.parked_at.is_(None)).scalar_subquery()
        async with self._reading() as session:
            total, of_them_parked, since = (
                await session.execute(select(func.count(OutboxMessage.id), parked, oldest))
            ).one()
        return OutboxLag(waiting=total - of_them_parked, parked=of_them_parked, oldest=since)

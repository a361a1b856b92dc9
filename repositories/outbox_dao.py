"""OutboxDao: unfinished messages, with queries for the relay, workers and operators."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, or_, select

from domain.outbox_message import OutboxMessage, pause
from repositories.errors import MessageNotFound
from unitwork.dao import BaseDao


@dataclass(frozen=True)
class OutboxLag:
    """The backlog of the outbox. `waiting` and `oldest` exclude parked messages."""

    waiting: int
    parked: int
    oldest: datetime | None
    """Moment at which the oldest waiting message was stored."""


class OutboxDao(BaseDao[OutboxMessage]):
    """Messages that aren't done. Claimed ones are locked, and skipped by others, until the transaction ends; on SQLite
    the lock of the only writer has the same effect.
    """

    not_found = MessageNotFound

    async def claim(self, limit: int, *, now: datetime, redeliver_after: timedelta) -> Sequence[OutboxMessage]:
        """Claim due messages, those due longest first. Needs a transaction.

        Each is due again after `redeliver_after`, doubled with each earlier publication; until then nobody else claims
        it.
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
                session.expunge(message)  # detach: no need to synchronize with the statements below
        by_publications: dict[int, list[int]] = {}
        for message in messages:
            by_publications.setdefault(message.publications, []).append(message.id)
        for publications, ids in by_publications.items():
            due_at = now + pause(redeliver_after, publications)
            await self.update().in_("id", ids).set(due_at=due_at).execute()
        return messages

    async def published(self, ids: Sequence[int], *, at: datetime) -> None:
        """Mark the messages as published. Those done meanwhile no longer exist and are ignored."""
        if ids:
            await self.update().in_("id", ids).increment("publications").set(published_at=at).execute()

    async def not_published(self, ids: Sequence[int], *, at: datetime, due_at: datetime, error: str) -> None:
        """Record that the broker refused the messages; it doesn't count as an attempt."""
        if ids:
            await self.update().in_("id", ids).set(due_at=due_at, failed_at=at, error=error).execute()

    async def begin(self, id: int, *, at: datetime) -> OutboxMessage | None:
        """Count an attempt and return the message; None if it is done or parked."""
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
        """Record a failed attempt: retry at `due_at`, or park the message."""
        parked_at = at if park else None
        await self.update().eq("id", id).set(due_at=due_at, failed_at=at, error=error, parked_at=parked_at).execute()

    async def retry(self, id: int, *, at: datetime) -> bool:
        """Make a message due now, parked or not, with its attempts reset; False if it is done."""
        return await self.update().eq("id", id).set(due_at=at, parked_at=None, attempts=0).execute() > 0

    async def retry_parked(self, *, at: datetime) -> int:
        """Make all parked messages due now, with attempts reset; return their number."""
        return await self.update().is_not_null("parked_at").set(due_at=at, parked_at=None, attempts=0).execute()

    async def drop(self, names: Mapping[str, Collection[int]]) -> int:
        """Delete messages, parked ones too, whose payload has one of these values: `{"user_id": ids}`. Return their
        number.
        """
        told = [OutboxMessage.payload[name].as_string().in_([str(id_) for id_ in ids]) for name, ids in names.items()]
        if not told:
            return 0
        async with self._session() as session:
            result: Any = await session.execute(delete(OutboxMessage).where(or_(*told)))
            return int(result.rowcount)

    async def forget_requests(self, actors: Collection[int]) -> int:
        """Erase the request and trace ids of unfinished messages that these users caused; return their number."""
        return await self.update().in_("created_by", actors).set(request_id=None, trace_parent=None).execute()

    async def lag(self) -> OutboxLag:
        """Return the backlog, by one statement over the unfinished messages."""
        parked = func.count(OutboxMessage.parked_at)
        oldest = select(func.min(OutboxMessage.created_at)).where(OutboxMessage.parked_at.is_(None)).scalar_subquery()
        async with self._reading() as session:
            total, of_them_parked, since = (
                await session.execute(select(func.count(OutboxMessage.id), parked, oldest))
            ).one()
        return OutboxLag(waiting=total - of_them_parked, parked=of_them_parked, oldest=since)

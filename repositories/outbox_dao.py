"""OutboxDao: unfinished messages, with queries for the relay, workers and operators."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, func, or_, select

from domain.outbox_message import OutboxMessage, pause
from repositories.errors import MessageNotFound
from unitwork.dao import BaseDao, Update


@dataclass(frozen=True)
class OutboxLag:
    """The backlog of the outbox. `waiting` excludes parked messages, `oldest` also those that a worker has, or that are
    delayed.
    """

    waiting: int
    parked: int
    oldest: datetime | None
    """Moment since which the oldest of them waits: it was stored then, or its delay was over."""


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
        """Record that the broker refused the messages; it doesn't count as an attempt. One that reached a worker all
        the same is left to that.
        """
        if ids:
            refused = self.update().in_("id", ids).where(_free(at))
            await refused.set(due_at=due_at, failed_at=at, error=error).execute()

    async def begin(self, id: int, *, at: datetime, until: datetime, holder: int) -> OutboxMessage | None:
        """Give the message to `holder` until then, count an attempt and return it. None if it is done, parked, another
        holder's, or to be begun later. It is published again when the lease ends.
        """
        ripe = or_(OutboxMessage.not_before.is_(None), OutboxMessage.not_before <= at)
        free = self.update().eq("id", id).is_null("parked_at").where(_free(at), ripe)
        # That it came shows that the broker delivers: the pauses between publications begin anew.
        leased = {"leased_until": until, "leased_by": holder, "due_at": until, "publications": 0}
        begun = await free.increment("attempts").set(attempted_at=at, not_before=None, **leased).returning()
        return begun[0] if begun else None

    async def waits(self, id: int) -> bool:
        """Return True if the message is neither done nor parked."""
        return await self.query().eq("id", id).is_null("parked_at").exists()

    async def renew(self, id: int, holder: int, *, until: datetime, moved: bool = False) -> bool:
        """Extend the holder's lease; with `moved`, count its attempts anew. False if it is the holder's no longer."""
        mine = self.update().eq("id", id).eq("leased_by", holder).set(leased_until=until, due_at=until)
        return await (mine.set(attempts=0) if moved else mine).execute() > 0

    async def hand_over(self, id: int, holder: int, *, at: datetime) -> bool:
        """End the holder's lease and make the message due now. False if it is the holder's no longer."""
        mine = self.update().eq("id", id).eq("leased_by", holder)
        return await mine.set(leased_until=None, leased_by=None, due_at=at, attempts=0).execute() > 0

    async def failed(
        self, id: int, *, at: datetime, due_at: datetime, error: str, park: bool, holder: int | None = None
    ) -> bool:
        """Record a failed attempt and end its lease: retry at `due_at`, or park the message. Does nothing, and returns
        False, if it is done, or no longer the holder's; without a `holder`, whoever has it.
        """
        mine = self.update().eq("id", id)
        mine = mine if holder is None else mine.eq("leased_by", holder)
        mine = mine.set(due_at=due_at, not_before=due_at, failed_at=at, error=error, parked_at=at if park else None)
        return await mine.set(leased_until=None, leased_by=None).execute() > 0

    async def retry(self, id: int, *, at: datetime) -> bool:
        """Make a message due now, parked or not, with its attempts reset; False if it is done."""
        return await self._due_again(self.update().eq("id", id), at) > 0

    async def retry_parked(self, *, at: datetime, topic: str | None = None) -> int:
        """Make all parked messages, or those of a topic, due now, with attempts reset; return their number."""
        parked = self.update().is_not_null("parked_at")
        return await self._due_again(parked if topic is None else parked.eq("topic", topic), at)

    async def _due_again(self, chosen: Update[OutboxMessage], at: datetime) -> int:
        return await chosen.set(due_at=at, not_before=None, parked_at=None, attempts=0).execute()

    async def withdraw(self, id: int) -> OutboxMessage | None:
        """Delete a message and return what it was; None if it is done. Needs a transaction."""
        async with self._session() as session:
            message = await session.get(OutboxMessage, id, with_for_update=True, populate_existing=True)
            if message is not None:
                session.expunge(message)
                await session.execute(delete(OutboxMessage).where(OutboxMessage.id == id))
            return message

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

    async def lag(self, *, at: datetime) -> OutboxLag:
        """Return the backlog at that moment, by one statement over the unfinished messages."""
        parked = func.count(OutboxMessage.parked_at)
        delayed = and_(OutboxMessage.attempts == 0, OutboxMessage.not_before.is_not(None))
        since = case((delayed, OutboxMessage.not_before), else_=OutboxMessage.created_at)
        waiting = OutboxMessage.parked_at.is_(None), since <= at, _free(at)
        oldest = select(func.min(since)).where(*waiting).scalar_subquery()
        async with self._reading() as session:
            total, of_them_parked, oldest_since = (
                await session.execute(select(func.count(OutboxMessage.id), parked, oldest))
            ).one()
        return OutboxLag(waiting=total - of_them_parked, parked=of_them_parked, oldest=oldest_since)


def _free(at: datetime) -> ColumnElement[bool]:
    """Return the condition that no worker has the message at that moment."""
    return or_(OutboxMessage.leased_until.is_(None), OutboxMessage.leased_until <= at)

"""AuditDao: queries on the audit trail."""

from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from domain.user import User
from unitwork.audit import AuditEntry, forget
from unitwork.dao import BaseDao, Query, Slice

BATCH: Final = 500
"""Number of entries in one read."""
PERSONAL: Final = ("email", "pending_email", "phone", "display_name")
"""Fields of an account that identify a person."""


class AuditDao(BaseDao[AuditEntry]):
    """Entries by record. The session writes them (`unitwork.audit.trail`), except security events."""

    async def history(self, record_id: int, *, size: int, cursor: str | None = None) -> Slice[AuditEntry]:
        """Return one page of a record's changes, newest first. Raises `InvalidCursor`."""
        return await self._changes().eq("record_id", record_id).order_by("-id").after(cursor, size)

    async def about(self, record_id: int, *, size: int, cursor: str | None = None) -> Slice[AuditEntry]:
        """Return one page of a record's changes and security events, oldest first. Raises `InvalidCursor`."""
        return await self.query().eq("record_id", record_id).order_by("id").after(cursor, size)

    async def page(
        self, *, events: bool, since: datetime | None, size: int, cursor: str | None = None
    ) -> Slice[AuditEntry]:
        """Return one page of the whole trail, or of its `events` only, oldest first. Raises `InvalidCursor`."""
        query = self.query().is_not_null("event") if events else self.query()
        if since is not None:
            query = query.ge("created_at", since)
        return await query.order_by("id").after(cursor, size)

    async def forget_values(self, *record_ids: int) -> int:
        """Erase the fields' values of these records; return the number of entries.

        Which fields were changed, by whom and when, is kept. Call it after a purge in the same transaction, as the
        purge is recorded, too.
        """
        async with self._session() as session:
            return await forget(session, records=record_ids)

    async def personal_values(self, user_ids: Collection[int]) -> set[str]:
        """Return every address, number and name of these accounts that the trail has recorded."""
        rows = await self._changes().in_("record_id", user_ids).eq("record_type", User.__tablename__).all()
        return set(_values(rows))

    async def forget_persons(self, user_ids: Collection[int], records: Collection[int], values: Collection[str]) -> int:
        """Erase persons from the trail: the values of these records, the ids of the persons' requests, and their
        `values` where they entered them into other records. Return the number of entries. Call it as `forget_values`.
        """
        theirs, own = frozenset(values), frozenset(records)

        async def told(query: Query[AuditEntry]) -> AsyncIterator[AuditEntry]:
            async for entry in self._each(query):
                if entry.record_id not in own and _any(theirs, entry):
                    yield entry

        entered = {entry.record_id async for entry in told(self._changes().in_("created_by", user_ids))}
        into = [record_id for record_id in entered if record_id is not None]
        entries = [entry.id async for entry in told(self._changes().in_("record_id", into))]
        async with self._session() as session:
            return await forget(session, records=records, actors=user_ids, entries=entries)

    async def _each(self, query: Query[AuditEntry]) -> AsyncIterator[AuditEntry]:
        last = 0
        while batch := await query.gt("id", last).order_by("id").limit(BATCH).all():
            for entry in batch:
                yield entry
            last = batch[-1].id

    def _changes(self) -> Query[AuditEntry]:
        return self.query().is_null("event")


def _any(values: frozenset[str], entry: AuditEntry) -> bool:
    return not values.isdisjoint(_values([entry]))


def _values(entries: Sequence[AuditEntry]) -> Iterator[str]:
    for entry in entries:
        for field in PERSONAL:
            change: Any = entry.changes.get(field) or {}
            yield from (value for value in change.values() if isinstance(value, str) and value)

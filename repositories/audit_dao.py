"""AuditDao: queries on the audit trail."""

from typing import Final

from unitwork.audit import AuditEntry, without_values
from unitwork.dao import BaseDao, Slice

BATCH: Final = 500
"""Entries in one statement."""


class AuditDao(BaseDao[AuditEntry]):
    """Audit entries by the record they are about. Sessions write them (`unitwork.audit.trail`)."""

    async def history(self, record_id: int, *, size: int, cursor: str | None = None) -> Slice[AuditEntry]:
        """Return one page of a record's history, newest first. Raises `InvalidCursor`."""
        return await self.query().eq("record_id", record_id).order_by("-id").after(cursor, size)

    async def forget_values(self, *record_ids: int) -> int:
        """Erase the fields' values of these records; return the number of entries.

        Which fields were changed, by whom and when, is kept. Call it after a purge in the same transaction, as the
        purge is recorded, too.
        """
        forgotten, last = 0, 0
        async with self._session() as session:
            while True:
                query = self.query().in_("record_id", record_ids).gt("id", last).order_by("id").limit(BATCH)
                entries = list((await session.scalars(query.statement)).all())
                for entry in entries:
                    entry.changes = without_values(entry.changes)
                await session.flush()
                forgotten += len(entries)
                if len(entries) < BATCH:
                    return forgotten
                last = entries[-1].id

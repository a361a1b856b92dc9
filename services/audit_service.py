"""AuditService: queries on the audit trail of changes and security events."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Final

from repositories.audit_dao import AuditDao
from repositories.user_dao import UserDao
from unitwork.audit import AuditEntry
from unitwork.dao import Slice

BATCH: Final = 500
"""Number of entries in one read of an export."""


class AuditService:
    """Reads the audit trail. The entrypoint checks permission."""

    def __init__(self, entries: AuditDao, users: UserDao) -> None:
        self._entries = entries
        self._users = users

    async def history(self, user_id: int, *, limit: int = 50, cursor: str | None = None) -> Slice[AuditEntry]:
        """Return one page of an account's history, newest first.

        The history outlives the account; a purge erases its values. Raises `UserNotFound` if there never was such an
        account, and `InvalidCursor`.
        """
        page = await self._entries.history(user_id, size=limit, cursor=cursor)
        if not page.items and cursor is None:
            await self._users.get(user_id, include_deleted=True)  # older than the audit trail: no entries yet
        return page

    async def page(
        self, *, events: bool = False, since: datetime | None = None, limit: int = 50, cursor: str | None = None
    ) -> Slice[AuditEntry]:
        """Return one page of the whole trail, oldest first, from `since` on; with `events` of security events only.

        Raises `InvalidCursor`.
        """
        return await self._entries.page(events=events, since=since, size=limit, cursor=cursor)

    async def export(self, *, events: bool = False, since: datetime | None = None) -> AsyncGenerator[AuditEntry, None]:
        """Yield every entry that `page` would return. Entries recorded after the first read may be missing."""
        cursor: str | None = None
        while True:
            found = await self.page(events=events, since=since, limit=BATCH, cursor=cursor)
            for entry in found.items:
                yield entry
            cursor = found.next_cursor
            if cursor is None:
                return

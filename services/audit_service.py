"""AuditService: who changed what, and when, and what happened to accounts besides."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Final

from repositories.audit_dao import AuditDao
from repositories.user_dao import UserDao
from unitwork.audit import AuditEntry
from unitwork.dao import Slice

BATCH: Final = 500
"""Entries of one read of an export."""


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
        """One page of the whole trail, oldest first, from a moment on; of its security events alone with `events`.

        Raises `InvalidCursor`.
        """
        return await self._entries.page(events=events, since=since, size=limit, cursor=cursor)

    async def export(self, *, events: bool = False, since: datetime | None = None) -> AsyncGenerator[AuditEntry, None]:
        """Every entry of `page`. What is recorded after the first one was read may be in it or not."""
        cursor: str | None = None
        while True:
            found = await self.page(events=events, since=since, limit=BATCH, cursor=cursor)
            for entry in found.items:
                yield entry
            cursor = found.next_cursor
            if cursor is None:
                return

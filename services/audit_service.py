"""AuditService: who changed an account, when, and what."""

from repositories.audit_dao import AuditDao
from repositories.user_dao import UserDao
from unitwork.audit import AuditEntry
from unitwork.dao import Slice


class AuditService:
    """Reads the audit trail. Who may see it, the entrypoint has decided."""

    def __init__(self, entries: AuditDao, users: UserDao) -> None:
        self._entries = entries
        self._users = users

    async def history(self, user_id: int, *, limit: int = 50, cursor: str | None = None) -> Slice[AuditEntry]:
        """One page of an account's history, newest first; it outlives the account, whose values a purge forgets.

        Raises `UserNotFound` when there never was such an account, `InvalidCursor`.
        """
        page = await self._entries.history(user_id, size=limit, cursor=cursor)
        if not page.items and cursor is None:
            await self._users.get(user_id, include_deleted=True)  # one from before the trail has no entries yet
        return page

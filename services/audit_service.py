"""AuditService: the history of changes to accounts."""

from repositories.audit_dao import AuditDao
from repositories.user_dao import UserDao
from unitwork.audit import AuditEntry
from unitwork.dao import Slice


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

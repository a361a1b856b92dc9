"""OwnDataService: everything that is kept about a person, for the person."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from domain import Mail, Token, User
from repositories.audit_dao import AuditDao
from repositories.mail_dao import MailDao
from repositories.token_dao import TokenDao
from repositories.user_dao import UserDao
from services.rate_limits import RateLimits
from services.security_events import SecurityEvent, SecurityEvents
from unitwork.audit import AuditEntry

BATCH: Final = 500
"""Number of entries of the audit trail in one read."""


@dataclass(frozen=True)
class OwnData:
    """An account, its logins and keys, what it was mailed, and what the audit trail has of it; oldest first. Whoever
    shows it leaves out digests.
    """

    account: User
    tokens: Sequence[Token]
    mails: Sequence[Mail]
    entries: Sequence[AuditEntry]


class OwnDataService:
    """Collects what is kept about a person. What they did to others' records is about these, and isn't part of it."""

    def __init__(
        self,
        users: UserDao,
        tokens: TokenDao,
        mails: MailDao,
        audit: AuditDao,
        limits: RateLimits,
        events: SecurityEvents,
    ) -> None:
        self._users = users
        self._tokens = tokens
        self._mails = mails
        self._audit = audit
        self._limits = limits
        self._events = events

    async def of(self, user_id: int) -> OwnData:
        """Return everything about the account, and record that it was asked for. Raises `TooManyAttempts`,
        `UserNotFound`.
        """
        await self._limits.hit("export", user_id=user_id)
        account = await self._users.get(user_id)
        tokens = await self._tokens.query().eq("user_id", user_id).order_by("id").all()
        mails = await self._mails.query().eq("user_id", user_id).order_by("id").all()
        entries: list[AuditEntry] = []
        cursor: str | None = None
        while True:
            page = await self._audit.about(user_id, size=BATCH, cursor=cursor)
            entries += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        await self._events.record(SecurityEvent.DATA_EXPORTED, user_id=user_id)
        return OwnData(account, tokens, mails, entries)

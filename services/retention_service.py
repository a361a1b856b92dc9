"""RetentionService: delete expired rows for good."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, Protocol

from repositories.idempotency_dao import IdempotencyDao
from repositories.inbox_dao import InboxDao
from repositories.job_dao import JobDao
from repositories.mail_dao import MailDao
from repositories.token_dao import TokenDao
from repositories.user_dao import UserDao
from services.erasure.erasure import Erasure
from services.idempotency import KEPT
from unitwork import TransactionProvider
from unitwork.models import utc_now

BATCH: Final = 200
"""Number of rows in one transaction."""
ACCOUNTS: Final = 50
"""Number of accounts in one transaction, each with its values in the audit trail."""


class Retention(Protocol):
    """Times for which rows are kept. The settings' section implements it."""

    @property
    def retain_deleted_users(self) -> timedelta: ...

    @property
    def retain_tokens(self) -> timedelta: ...

    @property
    def retain_inbox(self) -> timedelta: ...

    @property
    def retain_jobs(self) -> timedelta: ...


class RetentionService:
    """Deletes expired rows in batches and returns their number.

    Each batch is a transaction that claims its rows: any number of calls may run concurrently, and a cancelled one has
    deleted whole batches.
    """

    def __init__(
        self,
        transaction: TransactionProvider,
        users: UserDao,
        tokens: TokenDao,
        inbox: InboxDao,
        jobs: JobDao,
        erasure: Erasure,
        keys: IdempotencyDao,
        mails: MailDao,
        times: Retention,
    ) -> None:
        self._transaction = transaction
        self._users = users
        self._tokens = tokens
        self._inbox = inbox
        self._jobs = jobs
        self._erasure = erasure
        self._keys = keys
        self._mails = mails
        self._times = times

    async def purge_users(self, *, retain: timedelta | None = None) -> int:
        """Purge accounts whose soft delete is longer ago than the configured time or `retain`, with all data about
        their persons; the audit trail keeps who changed which field, and when.
        """
        before = utc_now() - (self._times.retain_deleted_users if retain is None else retain)

        async def batch() -> int:
            ids = await self._users.claim_deleted(ACCOUNTS, before=before)
            if ids:
                await self._erasure.erase(ids)
            return len(ids)

        return await self._in_batches("purge users", batch, ACCOUNTS)

    async def purge_tokens(self) -> int:
        """Purge tokens and mails whose expiry is longer ago than the configured time."""
        before = utc_now() - self._times.retain_tokens
        tokens = await self._in_batches("purge tokens", lambda: self._tokens.forget(BATCH, expired_before=before))
        return tokens + await self._in_batches("purge mails", lambda: self._mails.forget(BATCH, expired_before=before))

    async def purge_idempotency_keys(self) -> int:
        """Purge answers that are no longer repeated."""
        before = utc_now() - KEPT
        return await self._in_batches("purge idempotency keys", lambda: self._keys.forget(BATCH, before=before))

    async def purge_inbox(self) -> int:
        """Purge records of messages that were done longer ago than the configured time."""
        before = utc_now() - self._times.retain_inbox
        return await self._in_batches("purge inbox", lambda: self._inbox.forget(BATCH, before=before))

    async def purge_jobs(self) -> int:
        """Purge jobs that ended longer ago than the configured time."""
        before = utc_now() - self._times.retain_jobs
        return await self._in_batches("purge jobs", lambda: self._jobs.forget(BATCH, finished_before=before))

    async def _in_batches(self, name: str, batch: Callable[[], Awaitable[int]], full: int = BATCH) -> int:
        gone = 0
        while True:
            async with self._transaction(name=name):
                count = await batch()
            gone += count
            if count < full:
                return gone

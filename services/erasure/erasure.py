"""Erasure: deletes accounts permanently, with all other data about their persons."""

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol

from domain import OutboxMessage
from domain.user import User
from repositories.audit_dao import AuditDao
from repositories.idempotency_dao import IdempotencyDao
from repositories.job_dao import JobDao
from repositories.outbox_dao import OutboxDao
from repositories.user_dao import UserDao
from services.erasure.job_files import JobFiles
from services.erasure.personal_values import PersonalValues
from services.messaging.handlers import at_least_once
from services.messaging.notifier import Notifier
from services.messaging.outbox_service import OutboxService
from services.rate_limits import RateLimits
from unitwork import DatabaseServer, TransactionProvider
from unitwork.errors import EngineNotStarted

log = logging.getLogger("gatehouse.erasure")

PURGED: Final = "users.purged"
"""Topic of the message that deletes a purged account's notification files after the commit."""


class OwnedResource(Protocol):
    """Resource owned by accounts, such as a DAO of orders. Listed in `Container.owned_resources`."""

    async def purge_of(self, user_ids: Collection[int]) -> Sequence[int]:
        """Delete permanently the records of these accounts, soft-deleted ones included. Return their ids, whose values
        in the audit trail are then erased. Called in the transaction of the purge, before the accounts are deleted.
        """
        ...


class Erasure:
    """Permanent deletion of accounts. Rows are deleted in the caller's transaction, files and counters after its
    commit; files once more by an outbox message, in case the process dies in between. The audit trail keeps who changed
    which record, and when.
    """

    def __init__(
        self,
        transaction: TransactionProvider,
        users: UserDao,
        audit: AuditDao,
        keys: IdempotencyDao,
        jobs: JobDao,
        outbox: OutboxDao,
        messages: OutboxService,
        notifier: Notifier,
        limits: RateLimits,
        owned: Sequence[OwnedResource],
        server: Callable[[], DatabaseServer],
        max_bytes: int,
    ) -> None:
        self._transaction = transaction
        self._users = users
        self._audit = audit
        self._keys = keys
        self._jobs = jobs
        self._outbox = outbox
        self._messages = messages
        self._notifier = notifier
        self._limits = limits
        self._owned = owned
        self._server = server
        self._files = JobFiles(jobs, max_bytes)

    async def erase(self, user_ids: Collection[int]) -> None:
        """Delete these accounts, soft-deleted or not, and all data about them. Joins the caller's transaction."""
        async with self._transaction(name="erase persons") as transaction:
            persons = await self._users.query(include_deleted=True).in_("id", user_ids).all()
            values = {value for person in persons for value in _values_of(person)}
            values |= await self._audit.personal_values(user_ids)
            known = PersonalValues(values)
            records = list(user_ids)
            for resource in self._owned:
                records += await resource.purge_of(user_ids)
            await self._users.delete(include_deleted=True).in_("id", user_ids).execute()
            await self._audit.forget_persons(user_ids, records, values)
            await self._keys.forget_records(records)
            job_ids = await self._jobs.drop_of(user_ids)
            await self._outbox.drop({"user_id": user_ids, "job_id": job_ids})
            await self._outbox.forget_requests(user_ids)
            await self._files.forget(known)
            await self._messages.append(PURGED, {"user_ids": [str(user_id) for user_id in user_ids]})

            async def committed() -> None:
                await self._limits.forget(user_ids, known.contacts)
                await self._notifier.forget(user_ids)
                await self._overwrite()

            transaction.after_commit(committed)

    @at_least_once
    async def purged(self, message: OutboxMessage) -> None:
        """Handle a `PURGED` message: delete the accounts' notification files."""
        await self._notifier.forget([int(user_id) for user_id in message.payload["user_ids"]])
        await self._overwrite()

    async def _overwrite(self) -> None:
        try:
            server = self._server()
        except EngineNotStarted:  # fakes have no database file
            return
        if not await server.overwrite_deleted():
            log.info("a reader keeps the write-ahead log; it is overwritten when the next purge ends")


def _values_of(person: User) -> Sequence[str]:
    return [
        value
        for value in (person.email, person.email_key, person.pending_email, person.phone, person.display_name)
        if value
    ]

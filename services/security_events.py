"""SecurityEvents: records events relevant to account security, each as a log line and a row of the audit trail."""

import hashlib
import hmac
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from domain.client_address import bound_client_address, current_client_address
from repositories.audit_dao import AuditDao
from unitwork import Propagation, TransactionProvider, current_transaction
from unitwork.audit import AuditAction, AuditEntry
from unitwork.errors import NoActingUser, UnitworkError
from unitwork.models import SYSTEM, acting_user_id

log = logging.getLogger("gatehouse.security")

SUPPRESS_SECONDS: Final = 60.0
"""Seconds for which `record_seldom` suppresses an event with the same account and address."""
MAX_REMEMBERED_EVENTS: Final = 1_000
"""Maximum number of events that `record_seldom` remembers; further ones are logged without a row."""
DIGEST_DIGITS: Final = 16
"""Number of hexadecimal digits of an account's digest."""


class SecurityEvent(StrEnum):
    """Kind of event. The values are stable, as stored rows and logs contain them."""

    LOGIN_REFUSED = "login_refused"
    LIMIT_REACHED = "limit_reached"
    NOT_ALLOWED = "not_allowed"
    REFRESH_REUSED = "refresh_reused"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - an event
    CONTACT_CHANGED = "contact_changed"
    ROLE_CHANGED = "role_changed"
    STATUS_CHANGED = "status_changed"
    EMAIL_VERIFIED = "email_verified"
    VERIFICATION_REQUESTED = "verification_requested"
    RECOVERY_REQUESTED = "recovery_requested"
    DATA_EXPORTED = "data_exported"
    TOKEN_ISSUED = "token_issued"  # noqa: S105 - an event
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - an event


class SecurityEvents:
    """Recorder of events. Inside a transaction the row is stored with it, and the line logged after its commit.

    Events name an account by a digest keyed with the service's secret: events of one account can be correlated, but
    don't reveal its contact. Rows hold the account's id as well; a purge erases their facts.
    """

    def __init__(
        self,
        transaction: Callable[[], TransactionProvider],
        audit: Callable[[], AuditDao],
        signing_key: Callable[[], str],
    ) -> None:
        self._transaction = transaction
        self._audit = audit
        self._signing_key = signing_key
        self._remembered: OrderedDict[tuple[str, ...], float] = OrderedDict()

    async def record(
        self, event: SecurityEvent, *, user_id: int | None = None, contact: str | None = None, by: str | None = None
    ) -> None:
        """Record an event of the account, or of an attempt on `contact`; `by` names its means. Outside a transaction a
        failure to store the row is logged, not raised, so that it doesn't replace the refusal it accompanies.
        """
        address = current_client_address()
        account = self._digest(user_id, contact)
        facts = {"address": address, "account": account, "by": by}
        entry = AuditEntry(
            action=AuditAction.EVENT,
            event=event.value,
            record_type="users",
            record_id=user_id,
            created_by=_acting(),
            changes={name: {"after": value} for name, value in facts.items() if value is not None},
        )
        try:
            async with self._transaction()(Propagation.SUPPORTS, name="security event") as transaction:
                await self._audit().add(entry)
                if transaction.active:
                    transaction.after_commit(lambda: _log(event, facts))
                    return
        except UnitworkError as error:
            if current_transaction() is not None:
                raise
            log.warning("an event is in no row of the audit trail: %s", type(error).__name__)
        _log(event, facts)

    async def record_seldom(
        self, event: SecurityEvent, *, user_id: int | None = None, contact: str | None = None, by: str | None = None
    ) -> None:
        """Record an event that clients can cause at will: once per `SUPPRESS_SECONDS` for an account and address."""
        known = (event.value, by or "", str(user_id), contact or "", current_client_address() or "")
        now = time.monotonic()
        while self._remembered and (next(iter(self._remembered.values())) <= now - SUPPRESS_SECONDS):
            self._remembered.popitem(last=False)
        if known in self._remembered:
            return
        if len(self._remembered) >= MAX_REMEMBERED_EVENTS:
            _log(event, {"address": current_client_address(), "account": None, "by": by})
            return
        self._remembered[known] = now
        await self.record(event, user_id=user_id, contact=contact, by=by)

    async def limit_reached(self, limit: str, *, user_id: int | None, contact: str | None, address: str | None) -> None:
        """Record that the rate limit `limit` was reached for an account or an unknown contact, an address, or both."""
        with bound_client_address(current_client_address() or address):
            await self.record_seldom(SecurityEvent.LIMIT_REACHED, user_id=user_id, contact=contact, by=limit)

    def _digest(self, user_id: int | None, contact: str | None) -> str | None:
        if user_id is None and contact is None:
            return None
        # A contact may be the text of an id.
        whose = f"contact {contact}" if user_id is None else f"account {user_id}"
        text = whose.encode("utf-8", "surrogatepass")
        return hmac.digest(self._signing_key().encode(), text, hashlib.sha256).hex()[:DIGEST_DIGITS]


def _log(event: SecurityEvent, facts: dict[str, str | None]) -> None:
    given = {name: value for name, value in facts.items() if value is not None}
    text = " ".join(f"{name}={value}" for name, value in given.items())
    log.info("%s %s", event.value, text, extra={"security_event": event.value, **given})


def _acting() -> int:
    try:
        return acting_user_id()
    except NoActingUser:
        return SYSTEM

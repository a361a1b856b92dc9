"""SecurityEvents: what those who watch over accounts want to know, each a line of the log and a row of the trail."""

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

AGAIN_AFTER: Final = 60.0
"""Seconds for which what anybody can cause at will isn't told again of the same account and address."""
MOST_TOLD: Final = 1_000
"""Of such, how many are remembered; beyond these only a line of the log tells."""
SHOWN: Final = 16
"""Hexadecimal digits of an account's digest."""


class SecurityEvent(StrEnum):
    """Names are stable: rows and lines have them."""

    LOGIN_REFUSED = "login_refused"
    LIMIT_REACHED = "limit_reached"
    NOT_ALLOWED = "not_allowed"
    REFRESH_REUSED = "refresh_reused"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - an event
    CONTACT_CHANGED = "contact_changed"
    ROLE_CHANGED = "role_changed"
    STATUS_CHANGED = "status_changed"
    TOKEN_ISSUED = "token_issued"  # noqa: S105 - an event
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - an event


class SecurityEvents:
    """Tells each once: in the caller's transaction where there is one, and then only once that is committed.

    An account is told by a digest that the service's key makes: lines of one account belong together, and nobody learns
    its address from them. Rows name its id as well, and a purge forgets the facts of those.
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
        self._told: OrderedDict[tuple[str, ...], float] = OrderedDict()

    async def record(
        self, event: SecurityEvent, *, user_id: int | None = None, contact: str | None = None, by: str | None = None
    ) -> None:
        """Tell that it happened to the account, or to whoever was tried under `contact`; `by` says by what. Outside a
        transaction it raises nothing, whatever keeps the row from being stored: a refusal stays what it is.
        """
        address = current_client_address()
        account = self._digest(contact if user_id is None else str(user_id))
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
                    transaction.after_commit(lambda: _tell(event, facts))
                    return
        except UnitworkError as error:
            if current_transaction() is not None:
                raise
            log.warning("an event is in no row of the audit trail: %s", type(error).__name__)
        _tell(event, facts)

    async def record_seldom(
        self, event: SecurityEvent, *, user_id: int | None = None, contact: str | None = None, by: str | None = None
    ) -> None:
        """Likewise, of what anybody can cause as often as they like: once a minute for the same account and address."""
        known = (event.value, by or "", str(user_id), contact or "", current_client_address() or "")
        now = time.monotonic()
        while self._told and (next(iter(self._told.values())) <= now - AGAIN_AFTER):
            self._told.popitem(last=False)
        if known in self._told:
            return
        if len(self._told) >= MOST_TOLD:
            _tell(event, {"address": current_client_address(), "account": None, "by": by})
            return
        self._told[known] = now
        await self.record(event, user_id=user_id, contact=contact, by=by)

    async def limit_reached(self, limit: str, *, account: str | None, address: str | None) -> None:
        """Tell that the limit of this name was reached, by an account (its contact or id), from an address, or both."""
        with bound_client_address(current_client_address() or address):
            await self.record_seldom(SecurityEvent.LIMIT_REACHED, contact=account, by=limit)

    def _digest(self, whose: str | None) -> str | None:
        if whose is None:
            return None
        text = f"account {whose}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._signing_key().encode(), text, hashlib.sha256).hex()[:SHOWN]


def _tell(event: SecurityEvent, facts: dict[str, str | None]) -> None:
    given = {name: value for name, value in facts.items() if value is not None}
    text = " ".join(f"{name}={value}" for name, value in given.items())
    log.info("%s %s", event.value, text, extra={"security_event": event.value, **given})


def _acting() -> int:
    try:
        return acting_user_id()
    except NoActingUser:
        return SYSTEM

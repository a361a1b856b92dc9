"""ContactCheck: find and repair contacts that break today's rules, and names without a search key.

Contacts may have been stored under older rules. Keys of names are missing if an older version or plain SQL wrote them.
"""

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from domain.email_address import KEY_MAX_LENGTH, email_address, email_key
from domain.errors import Unacceptable
from domain.phone_number import phone_number
from domain.search_key import search_key
from repositories.user_dao import StoredContacts, UserDao
from unitwork import TransactionProvider
from unitwork.errors import UniqueViolation

PAGE: Final = 1_000
"""Number of accounts in one read."""
MEND: Final = "gatehouse users check --mend-keys"
UNNAMED: Final = "the name was stored by another version or by SQL, and isn't found by all its spellings"
CORRECT: Final = "ask the person, and correct it: PATCH /v1/users/{id}, or purge the account"


@dataclass(frozen=True)
class ContactFault:
    """A fault in one contact of an account, and its remedy. It doesn't contain the contact."""

    user_id: int
    field: str
    """`email` or `phone`; `email_key` or `name_key` if the value is valid but its search key is wrong."""
    reason: str
    fix: str


@dataclass(frozen=True)
class CheckedPage:
    """A page of checked accounts; `last` is the id of the last one."""

    accounts: int
    last: int
    faults: Sequence[ContactFault]


class ContactCheck:
    """Checks stored contacts by the rules for new ones. Each page is read by itself, without an open transaction."""

    def __init__(self, transaction: TransactionProvider, users: UserDao, private_domains: Collection[str] = ()) -> None:
        self._transaction = transaction
        self._users = users
        self._private_domains = private_domains

    async def pages(self, *, mend: bool = False) -> AsyncGenerator[CheckedPage, None]:
        """Yield all accounts, including soft-deleted ones, oldest first.

        With `mend`, recompute keys of names, and e-mail keys unless another account has them; faults that remain are in
        the page. Mending needs an acting user.
        """
        last = -1
        while rows := await self._users.contacts_after(last, PAGE):
            if mend and (unnamed := [row for row in rows if row.name_key != _name_key(row)]):
                named = await self._name(unnamed)
                rows = [row._replace(name_key=_name_key(row)) if row.id in named else row for row in rows]
            if mend and (mendable := [row for row in rows if _rekeyed(row) is not None]):
                mended = {row.id for row in mendable if await self._mend(row)}
                rows = [row._replace(email_key=_rekeyed(row)) if row.id in mended else row for row in rows]
            last = rows[-1].id
            yield CheckedPage(len(rows), last, await self._faults(rows))

    async def mend(self) -> int:
        """Repair what can be repaired; return the number of remaining faults."""
        left = 0
        async with aclosing(self.pages(mend=True)) as pages:
            async for page in pages:
                left += len(page.faults)
        return left

    async def _faults(self, rows: Sequence[StoredContacts]) -> list[ContactFault]:
        holders: dict[str | None, int] = {}
        if keys := {key for row in rows if (key := _rekeyed(row)) is not None}:
            holders = {user.email_key: user.id for user in await self._users.with_contacts(keys, ())}
        faults = []
        for row in rows:
            key = _rekeyed(row)
            if key is not None:
                faults.append(_misfiled(row, holders.get(key)))
            if row.name_key != _name_key(row):
                faults.append(ContactFault(row.id, "name_key", UNNAMED, MEND))
            if row.email is not None:
                try:
                    email_address(row.email, private_domains=self._private_domains)
                except Unacceptable as refusal:
                    faults.append(ContactFault(row.id, "email", refusal.reason, CORRECT))
            if row.phone is not None and (reason := _phone_fault(row.phone)):
                faults.append(ContactFault(row.id, "phone", reason, CORRECT))
        return faults

    async def _name(self, rows: Sequence[StoredContacts]) -> set[int]:
        """Recompute keys of names; return the ids of the accounts updated, which excludes those changed meanwhile."""
        async with self._transaction(name="mend keys of names"):
            return {
                row.id for row in rows if await self._users.store_name_key(row.id, _name_key(row), version=row.version)
            }

    async def _mend(self, row: StoredContacts) -> bool:
        """Store the account's e-mail key; False if another account has it, or the account was changed meanwhile."""
        builder = self._users.update(include_deleted=True).eq("id", row.id).eq("email", row.email)
        try:
            async with self._transaction(name="mend e-mail key"):
                return await builder.set(email_key=_rekeyed(row)).execute() == 1
        except UniqueViolation:
            return False


def _rekeyed(row: StoredContacts) -> str | None:
    """Return the correct e-mail key if the stored one differs; else None."""
    if row.email is None:
        return None
    key = email_key(row.email)
    return None if key == row.email_key or len(key) > KEY_MAX_LENGTH else key


def _name_key(row: StoredContacts) -> str | None:
    return None if row.display_name is None else search_key(row.display_name)


def _misfiled(row: StoredContacts, holder: int | None) -> ContactFault:
    if holder is None:
        reason = "the address was stored under an older rule, and isn't found by all its spellings"
        return ContactFault(row.id, "email_key", reason, MEND)
    reason = f"account {holder} has an address that is the same by today's rule, so this one keeps its older key"
    fix = "give one of them another address, or purge it; then: gatehouse users check --mend-keys"
    return ContactFault(row.id, "email_key", reason, fix)


def _phone_fault(stored: str) -> str | None:
    try:
        return None if phone_number(stored) == stored else "isn't stored as E.164, so nothing finds it"
    except Unacceptable as refusal:
        return refusal.reason

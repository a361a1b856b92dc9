"""UserDao: queries on accounts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Self, TypeVar

from sqlalchemy import select, update

from domain.contact_key import contact_key
from domain.email_address import email_key
from domain.phone_number import means_phone
from domain.search_key import search_key
from domain.user import Role, User, UserStatus
from repositories.errors import UserNotFound
from unitwork.dao import BaseDao, Conditions, plan_anew

B = TypeVar("B", bound=Conditions[User])


@dataclass(frozen=True)
class UserFilter:
    """Criteria for accounts; None means no restriction."""

    email: str | None = None
    """The whole address; other spellings of the same address match, too."""
    phone: str | None = None
    """The whole number with its country code, in any spelling."""
    name: str | None = None
    """Part of the display name, ignoring case and accents."""
    status: UserStatus | None = None
    created_after: datetime | None = None
    """Must be aware."""

    @classmethod
    def of_contact(cls, contact: str) -> Self:
        """Return a filter for an e-mail address or phone number (with country code), in any spelling."""
        return cls(phone=contact.strip()) if means_phone(contact) else cls(email=contact.strip())

    def apply(self, builder: B) -> B:
        """Add the criteria to a builder."""
        if self.email is not None:
            builder = builder.eq("email_key", email_key(self.email))
        if self.phone is not None:
            builder = builder.eq("phone", contact_key(self.phone) if means_phone(self.phone) else self.phone)
        if self.name is not None:
            key = search_key(self.name)
            builder = builder.contains("name_key", key) if key else builder.in_("id", ())
        if self.status is not None:
            builder = builder.eq("status", self.status)
        if self.created_after is not None:
            builder = builder.gt("created_at", self.created_after)
        return builder


class StoredContacts(NamedTuple):
    """The contacts of an account, and their keys."""

    id: int
    email: str | None
    email_key: str | None
    phone: str | None
    display_name: str | None
    name_key: str | None
    version: int


class UserDao(BaseDao[User]):
    """Accounts, with look-ups by contact."""

    not_found = UserNotFound

    async def with_contacts(self, email_keys: Iterable[str], phones: Iterable[str]) -> list[User]:
        """Return accounts, including soft-deleted ones, that have one of these e-mail keys or phone numbers, and so
        block their reuse.
        """
        keys, phone_numbers = list(email_keys), list(phones)
        holders: dict[int, User] = {}
        async with self._session() as session:
            await plan_anew(session, self._sessions.dialect_of(session))
            for column, values in (("email_key", keys), ("phone", phone_numbers)):
                if values:
                    found = await self.query(include_deleted=True).in_(column, values).all()
                    holders |= {user.id: user for user in found}
        return list(holders.values())

    async def contacts_after(self, user_id: int, limit: int) -> Sequence[StoredContacts]:
        """Return the contacts of accounts with ids above this one, ordered by id, including soft-deleted ones."""
        columns = select(*(getattr(User, name) for name in StoredContacts._fields)).where(User.id > user_id)
        columns = columns.order_by(User.id).limit(limit).execution_options(include_deleted=True)
        async with self._session() as session:
            return [StoredContacts(*row) for row in await session.execute(columns)]

    async def store_name_key(self, user_id: int, key: str | None, *, version: int) -> bool:
        """Store the key of an account's name; False if the account was changed after that version. Version and stamps
        stay as they are, as no user has changed the account.
        """
        kept = {name: getattr(User, name) for name in ("version", "updated_at", "updated_by")}
        change = update(User).where(User.id == user_id, User.version == version).values(name_key=key, **kept)
        change = change.execution_options(synchronize_session=False, include_deleted=True)
        async with self._session() as session:
            result: Any = await session.execute(change)
            return bool(result.rowcount == 1)

    async def claim_deleted(self, limit: int, *, before: datetime) -> Sequence[int]:
        """Lock and return ids of accounts soft-deleted before this moment, skipping locked ones. Needs a
        transaction.
        """
        old = select(User.id).where(User.deleted_at < before).order_by(User.deleted_at).limit(limit)
        old = old.execution_options(include_deleted=True)
        async with self._session() as session:
            return (await session.scalars(old.with_for_update(skip_locked=True))).all()

    async def lock_active_admins(self) -> list[int]:
        """Lock the active admins until the transaction ends and return the ids of those that have a password, or of all
        if none has. Locks are taken in the order of ids, so that concurrent callers can't deadlock.
        """
        active = User.status == UserStatus.ACTIVE
        admins = select(User.id, User.password_hash.is_not(None))
        admins = admins.where(User.role == Role.ADMIN, active, User.deleted_at.is_(None))
        async with self._session() as session:
            found = (await session.execute(admins.order_by(User.id).with_for_update())).all()
        return [id_ for id_, can in found if can] or [id_ for id_, _ in found]

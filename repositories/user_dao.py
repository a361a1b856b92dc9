"""UserDao: what we ask about accounts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import select

from domain.email_address import email_key
from domain.search_key import search_key
from domain.user import Role, User, UserStatus
from repositories.base_dao import BaseDao
from repositories.conditions import Conditions
from repositories.errors import UserNotFound
from repositories.planning import plan_anew

B = TypeVar("B", bound=Conditions[User])


@dataclass(frozen=True)
class UserFilter:
    """Which accounts are meant; None leaves a criterion out."""

    email: str | None = None
    """The whole address, in any spelling that is the same address."""
    phone: str | None = None
    """The whole number, E.164."""
    name: str | None = None
    """Part of the display name, in any case and accents."""
    status: UserStatus | None = None
    created_after: datetime | None = None
    """Aware."""

    def apply(self, builder: B) -> B:
        """The builder narrowed to these accounts."""
        if self.email is not None:
            builder = builder.eq("email_key", email_key(self.email))
        if self.phone is not None:
            builder = builder.eq("phone", self.phone)
        if self.name is not None:
            key = search_key(self.name)
            builder = builder.contains("name_key", key) if key else builder.in_("id", ())
        if self.status is not None:
            builder = builder.eq("status", self.status)
        if self.created_after is not None:
            builder = builder.gt("created_at", self.created_after)
        return builder


class UserDao(BaseDao[User]):
    """Accounts by their contacts, besides what every DAO can do."""

    not_found = UserNotFound

    async def with_contacts(self, email_keys: Iterable[str], phones: Iterable[str]) -> list[User]:
        """Accounts, deleted ones too, that have one of these e-mail keys or phone numbers: whoever holds a
        value that must stay unique.
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

    async def claim_deleted(self, limit: int, *, before: datetime) -> Sequence[int]:
        """Ids of accounts that were soft-deleted before that moment, locked; those that somebody else has locked are
        left out. Needs a transaction.
        """
        old = select(User.id).where(User.deleted_at < before).order_by(User.deleted_at).limit(limit)
        old = old.execution_options(include_deleted=True)
        async with self._session() as session:
            return (await session.scalars(old.with_for_update(skip_locked=True))).all()

    async def lock_active_admins(self) -> list[int]:
        """The ids of the accounts that may administer, which nobody else changes until the transaction ends. Always
        locked in the same order, so that those who ask wait for each other and never in a circle.
        """
        active = User.status == UserStatus.ACTIVE
        admins = select(User.id).where(User.role == Role.ADMIN, active, User.deleted_at.is_(None))
        async with self._session() as session:
            return list(await session.scalars(admins.order_by(User.id).with_for_update()))

"""UserService: accounts, from creation to restore."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from domain.errors import LastAdmin
from domain.user import User, UserChanges
from repositories.errors import UserNotFound
from repositories.token_dao import TokenDao
from repositories.user_dao import UserDao, UserFilter
from services.contacts import contacts_taken
from services.messaging.notification_service import WELCOME
from services.messaging.outbox_service import OutboxService
from services.passwords import Passwords
from unitwork import TransactionProvider
from unitwork.dao import check_version
from unitwork.errors import UnknownColumn
from unitwork.models import utc_now

SORTABLE: Final = ("created_at", "updated_at", "email", "display_name", "id")
"""What a list can be ordered by. A cursor holds the last row's values of these, so no secret is among them."""


@dataclass(frozen=True)
class UserPage:
    """Accounts in order. `next_cursor` is None on the last page, `total` unless asked for."""

    items: Sequence[User]
    next_cursor: str | None
    total: int | None = None

    @property
    def has_more(self) -> bool:
        """Whether a page follows."""
        return self.next_cursor is not None


class UserService:
    """Accounts. Writes need an acting user (`acting_as`); whether that user may, the entrypoint has decided.

    `version` is the one the caller has seen: another one raises `StaleVersion`, None accepts any. `private_domains` are
    those of no public network whose e-mail addresses are taken.
    """

    def __init__(
        self,
        transaction: TransactionProvider,
        users: UserDao,
        tokens: TokenDao,
        passwords: Passwords,
        outbox: OutboxService,
        private_domains: Collection[str] = (),
    ) -> None:
        self._transaction = transaction
        self._users = users
        self._tokens = tokens
        self._passwords = passwords
        self._outbox = outbox
        self._private_domains = private_domains

    async def create(self, changes: UserChanges, *, password: str | None = None, region: str | None = None) -> User:
        """A new account; without password nobody can log in to it. `region` reads national phone numbers.

        Raises `Unacceptable` leaves, `EmailTaken`, `PhoneTaken`.
        """
        return await self.store(await self.draft(changes, password=password, region=region))

    async def register(self, changes: UserChanges, *, password: str | None = None, region: str | None = None) -> User:
        """An account that a person creates: as `create`, and the person is welcomed once it is committed."""
        return await self.store(await self.draft(changes, password=password, region=region), welcome=True)

    async def draft(self, changes: UserChanges, *, password: str | None = None, region: str | None = None) -> User:
        """What `store` takes: the part of `create` that belongs before a transaction. Raises `Unacceptable` leaves."""
        user = User.create(changes, region=region, private_domains=self._private_domains)
        if password is not None:
            user.password_hash = await self._passwords.hash(password)
        return user

    async def store(self, draft: User, *, welcome: bool = False) -> User:
        """The other part of `create`, and of `register` with `welcome`. Raises `EmailTaken`, `PhoneTaken`."""
        with contacts_taken():
            async with self._transaction(name="register user" if welcome else "create user"):
                await self._users.add(draft)
                if welcome:
                    await self._outbox.append(WELCOME, {"user_id": str(draft.id)})
        return draft

    async def get(self, user_id: int, *, include_deleted: bool = False) -> User:
        """The account. Raises `UserNotFound` when there is none, or it is deleted and `include_deleted` isn't said."""
        if include_deleted:
            return await self._users.get(user_id, include_deleted=True)
        return await self._users.get(user_id)

    async def find(self, contact: str, *, include_deleted: bool = False) -> User:
        """The account with this id, e-mail address or phone number (with country code), in any spelling.

        Raises `UserNotFound`.
        """
        if contact.isascii() and contact.isdecimal() and len(contact) <= 19 and int(contact) < 1 << 63:
            return await self.get(int(contact), include_deleted=include_deleted)
        user = (
            await UserFilter.of_contact(contact).apply(self._users.query(include_deleted=include_deleted)).one_or_none()
        )
        if user is None:
            raise UserNotFound(contact)
        return user

    async def list(
        self,
        criteria: UserFilter = UserFilter(),  # noqa: B008 - frozen
        *,
        order: str = "-created_at",
        limit: int = 50,
        cursor: str | None = None,
        include_deleted: bool = False,
        include_total: bool = False,
    ) -> UserPage:
        """One page of the accounts that match. `order` is one of `SORTABLE`, `-` before it for descending.

        Raises `InvalidCursor`, `UnknownColumn`.
        """
        if order.removeprefix("-") not in SORTABLE:
            raise UnknownColumn("User", order.removeprefix("-"), SORTABLE)
        query = criteria.apply(self._users.query(include_deleted=include_deleted))
        page = await query.order_by(order).after(cursor, limit)
        total = None
        if include_total:
            total = await criteria.apply(self._users.count(include_deleted=include_deleted)).rows()
        return UserPage(page.items, page.next_cursor, total)

    async def update(
        self, user_id: int, changes: UserChanges, *, version: int | None = None, region: str | None = None
    ) -> User:
        """The account after the changes; suspended, it has no token left. Raises `UserNotFound`, `StaleVersion`,
        `LastAdmin`, and what `create` raises.
        """
        with contacts_taken():
            async with self._transaction(name="update user"):
                last = bool(changes.keys() & {"role", "status"}) and await self._last_admin(user_id)
                user = await (self._users.get_locked(user_id) if version is None else self._users.get(user_id))
                check_version(user, version)
                user.change(changes, region=region, private_domains=self._private_domains)
                if last and not (user.admin and user.active):
                    raise LastAdmin
                await self._users.flush()  # an outer transaction would tell of a taken contact too late
                if not user.active:
                    await self._tokens.revoke_all(user_id, at=utc_now())
        return user

    async def delete(self, user_id: int, *, version: int | None = None) -> User:
        """The account, soft-deleted: it keeps its e-mail address and phone number, and no token. Raises `UserNotFound`,
        `StaleVersion`, `LastAdmin`.
        """
        async with self._transaction(name="delete user"):
            if await self._last_admin(user_id):
                raise LastAdmin
            user = await self._users.soft_delete(user_id, version=version)
            await self._tokens.revoke_all(user_id, at=utc_now())
            return user

    async def restore(self, user_id: int, *, version: int | None = None) -> User:
        """The account, no longer deleted; its logins stay ended. Never conflicts. Raises `UserNotFound`,
        `StaleVersion`.
        """
        async with self._transaction(name="restore user"):
            return await self._users.restore(user_id, version=version)

    async def purge(self, user_id: int, *, version: int | None = None) -> None:
        """Delete the account for good, deleted before or not; its tokens go with it. Raises `UserNotFound`,
        `StaleVersion`, `LastAdmin`.
        """
        async with self._transaction(name="purge user"):
            if await self._last_admin(user_id):
                raise LastAdmin
            await self._users.purge(user_id, version=version)

    async def _last_admin(self, user_id: int) -> bool:
        """Whether nobody else may administer, which holds until the transaction ends: two admins can't remove each
        other at once.
        """
        return await self._users.lock_active_admins() == [user_id]

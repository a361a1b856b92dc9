"""UserService: create, read, update, delete and restore accounts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from domain.errors import AlreadyTaken, LastAdmin, NotAuthenticated
from domain.mail import MailKind
from domain.token import Token
from domain.user import Role, User, UserChanges, UserStatus
from repositories.errors import UserNotFound
from repositories.token_dao import TokenDao
from repositories.user_dao import UserDao, UserFilter
from services.contacts import contacts_taken
from services.erasure.erasure import Erasure
from services.messaging.mails import Mails
from services.messaging.notification_service import WELCOME
from services.messaging.outbox_service import OutboxService
from services.password_rules import check_new_password
from services.passwords import Passwords
from services.security_events import SecurityEvent, SecurityEvents
from unitwork import TransactionProvider
from unitwork.dao import check_version
from unitwork.errors import StaleVersion, UnknownColumn
from unitwork.models import utc_now

SORTABLE: Final = ("created_at", "updated_at", "email", "display_name", "id")
"""The fields a list can be ordered by. A cursor contains the last row's values of them, so none is secret."""


@dataclass(frozen=True)
class UserPage:
    """Accounts in order. `next_cursor` is None on the last page; `total` is None unless requested."""

    items: Sequence[User]
    next_cursor: str | None
    total: int | None = None

    @property
    def has_more(self) -> bool:
        """True if there is a next page."""
        return self.next_cursor is not None


class UserService:
    """Manages accounts. Writes need an acting user (`acting_as`); the entrypoint checks permission.

    `version` is the version that the caller has read: another one raises `StaleVersion`, None accepts any.
    `private_domains` are non-public domains whose e-mail addresses are accepted.
    """

    def __init__(
        self,
        transaction: TransactionProvider,
        users: UserDao,
        tokens: TokenDao,
        passwords: Passwords,
        outbox: OutboxService,
        erasure: Erasure,
        events: SecurityEvents,
        mails: Mails,
        private_domains: Collection[str] = (),
    ) -> None:
        self._transaction = transaction
        self._users = users
        self._tokens = tokens
        self._passwords = passwords
        self._outbox = outbox
        self._erasure = erasure
        self._events = events
        self._mails = mails
        self._private_domains = private_domains

    async def create(self, changes: UserChanges, *, password: str | None = None, region: str | None = None) -> User:
        """Create an account; without a password, login is disabled. `region` is the default region of phone numbers.

        Raises subclasses of `Unacceptable`, `EmailTaken`, `PhoneTaken`.
        """
        return await self.store(await self.draft(changes, password=password, region=region))

    async def register(self, changes: UserChanges, *, password: str | None = None, region: str | None = None) -> User:
        """Create an account by self-registration: as `create`, and a welcome is sent after the commit."""
        return await self.store(await self.draft(changes, password=password, region=region), welcome=True)

    async def register_quietly(self, changes: UserChanges, *, password: str) -> None:
        """Create an account by self-registration, or, when its address or number is taken, mail that to the owner of
        the address: callers can't tell one from the other. Raises subclasses of `Unacceptable`.
        """
        draft = await self.draft(changes, password=password)
        keys, phones = ([key for key in (value,) if key is not None] for value in (draft.email_key, draft.phone))
        holders = await self._users.with_contacts(keys, phones)
        try:
            if not holders:
                await self.store(draft, welcome=True)
                return
        except AlreadyTaken:  # at the same moment, by somebody who is welcomed
            return
        owner = next((holder.id for holder in holders if holder.email_key == draft.email_key), None)
        async with self._transaction(name="register user"):
            await self._mails.request(MailKind.ADDRESS_TAKEN, owner if draft.email_key is not None else None)

    async def draft(self, changes: UserChanges, *, password: str | None = None, region: str | None = None) -> User:
        """Validate a new account, and hash its password, before a transaction; pass the result to `store`. Raises
        subclasses of `Unacceptable`.
        """
        user = User.create(changes, region=region, private_domains=self._private_domains)
        if password is not None:
            check_new_password(password, user=user)
            user.password_hash = await self._passwords.hash(password)
        return user

    async def store(self, draft: User, *, welcome: bool = False, invite: bool = False) -> User:
        """Store a validated account; with `welcome`, also the message that sends one, and with `invite` an invitation
        to choose the password. Raises `EmailTaken`, `PhoneTaken`.
        """
        with contacts_taken():
            async with self._transaction(name="register user" if welcome else "create user"):
                await self._users.add(draft)
                if welcome:
                    await self._outbox.append(WELCOME, {"user_id": str(draft.id)})
                if invite:
                    await self._mails.send(MailKind.INVITE, draft.id, MailKind.INVITE.address_of(draft))
        return draft

    async def get(self, user_id: int, *, include_deleted: bool = False) -> User:
        """Return the account. Raises `UserNotFound` if there is none, or it is deleted and `include_deleted`
        is False.
        """
        if include_deleted:
            return await self._users.get(user_id, include_deleted=True)
        return await self._users.get(user_id)

    async def find(self, contact: str, *, include_deleted: bool = False) -> User:
        """Return the account with this id, e-mail address or phone number (with country code), in any spelling.

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
        """Return one page of the matching accounts. `order` is one of `SORTABLE`, with a leading `-` for descending.

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
        self,
        user_id: int,
        changes: UserChanges,
        *,
        version: int | None = None,
        region: str | None = None,
        keep: Token | None = None,
        confirmed: bool = True,
        prove: bool = False,
    ) -> User:
        """Apply the changes and return the account. Suspending it revokes all its tokens; another e-mail address or
        phone number revokes all but those of the login that `keep` belongs to. Without `confirmed` the changes must not
        alter the stored contacts: if they do, these were changed concurrently, which raises `StaleVersion`. With
        `prove`, for owners, another address than a proven one is pending until its mail's link is followed.

        Raises `UserNotFound`, `StaleVersion`, `LastAdmin`,
        and what `create` raises.
        """
        with contacts_taken():
            async with self._transaction(name="update user"):
                last = bool(changes.keys() & {"role", "status"}) and await self._last_admin(user_id)
                user = await (self._users.get_locked(user_id) if version is None else self._users.get(user_id))
                check_version(user, version)
                before, pending = (user.email, user.phone, user.role, user.status), user.pending_email
                user.change(changes, region=region, private_domains=self._private_domains, prove=prove)
                if last and not (user.admin and user.active):
                    raise LastAdmin
                await self._users.flush()  # else an outer transaction's commit would raise the violation
                await self._after_change(user, *before, keep, confirmed=confirmed)
                if user.pending_email not in (None, pending):
                    if not confirmed:
                        raise StaleVersion
                    await self._mails.send(MailKind.VERIFY, user.id, user.pending_email)
        return user

    async def delete(self, user_id: int, *, version: int | None = None) -> User:
        """Soft-delete an account, revoke its tokens, and return it. It keeps its e-mail address and phone number.
        Raises `UserNotFound`, `StaleVersion`, `LastAdmin`.
        """
        async with self._transaction(name="delete user"):
            if await self._last_admin(user_id):
                raise LastAdmin
            user = await self._users.soft_delete(user_id, version=version)
            await self._tokens.revoke_all(user_id, at=utc_now())
            return user

    async def restore(self, user_id: int, *, version: int | None = None) -> User:
        """Undo a soft delete and return the account; its logins stay revoked. Never conflicts. Raises `UserNotFound`,
        `StaleVersion`.
        """
        async with self._transaction(name="restore user"):
            return await self._users.restore(user_id, version=version)

    async def purge(self, user_id: int, *, version: int | None = None) -> None:
        """Delete the account permanently, soft-deleted or not, and all data about its person (docs/decisions/0097).
        Raises `UserNotFound`, `StaleVersion`, `LastAdmin`.
        """
        async with self._transaction(name="purge user"):
            if await self._last_admin(user_id):
                raise LastAdmin
            check_version(await self._users.get_locked(user_id, include_deleted=True), version)
            await self._erasure.erase([user_id])

    async def _after_change(
        self,
        user: User,
        email: str | None,
        phone: str | None,
        role: Role,
        status: UserStatus,
        keep: Token | None,
        *,
        confirmed: bool,
    ) -> None:
        """Revoke the tokens that the change invalidates, and record its security events. Raises `StaleVersion` and
        `NotAuthenticated`.
        """
        contact = (email, phone) != (user.email, user.phone)
        if contact and not confirmed:
            raise StaleVersion
        if contact and keep is not None:
            stored = await self._tokens.get_or_none(keep.id)
            if stored is None or stored.revoked_at is not None:
                raise NotAuthenticated  # the login was revoked concurrently
        if not user.active or contact:
            await self._tokens.revoke_all(user.id, at=utc_now(), keep=keep if user.active else None)
        if email != user.email:
            await self._mails.send(MailKind.ADDRESS_CHANGED, user.id, email)
        for changed, event in (
            (contact, SecurityEvent.CONTACT_CHANGED),
            (role is not user.role, SecurityEvent.ROLE_CHANGED),
            (status is not user.status, SecurityEvent.STATUS_CHANGED),
        ):
            if changed:
                await self._events.record(event, user_id=user.id)

    async def _last_admin(self, user_id: int) -> bool:
        """True if there is no other active admin. The answer holds until the transaction ends, so that two admins can't
        remove each other concurrently.
        """
        return await self._users.lock_active_admins() == [user_id]

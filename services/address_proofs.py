"""AddressProofs: verification of addresses, recovery of accounts, and invitations, each by a mailed secret."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from domain.contact_key import contact_key
from domain.email_address import email_key
from domain.errors import AlreadyAccepted, LinkRefused
from domain.mail import SECRET_KINDS, VERIFYING, Mail, MailKind, may_be_secret
from domain.token import digest_of
from domain.user import User
from repositories.errors import UserNotFound
from repositories.mail_dao import MailDao
from repositories.token_dao import TokenDao
from repositories.user_dao import UserDao, UserFilter
from services.contacts import contacts_taken
from services.messaging.mails import Mails
from services.password_rules import check_new_password
from services.passwords import Passwords
from services.rate_limits import RateLimits
from services.security_events import SecurityEvent, SecurityEvents
from unitwork import TransactionProvider, reads_from_primary
from unitwork.models import acting_as, utc_now

REQUESTED: Final = {
    MailKind.RECOVER: SecurityEvent.RECOVERY_REQUESTED,
    MailKind.VERIFY: SecurityEvent.VERIFICATION_REQUESTED,
}


class AddressProofs:
    """Sends mails with secrets, and does what their readers may. A secret counts once, for the address it was sent to,
    while that is the account's; of concurrent callers one succeeds.

    Requests by contact take the same work and give the same answer for accounts that are unknown, deleted, suspended or
    have nothing to prove: the worker finds out (docs/decisions/0128). `address` is the caller's network address.
    """

    def __init__(
        self,
        transaction: TransactionProvider,
        users: UserDao,
        tokens: TokenDao,
        mail_dao: MailDao,
        mails: Mails,
        passwords: Passwords,
        limits: RateLimits,
        events: SecurityEvents,
    ) -> None:
        self._transaction = transaction
        self._users = users
        self._tokens = tokens
        self._mail_dao = mail_dao
        self._mails = mails
        self._passwords = passwords
        self._limits = limits
        self._events = events

    async def request(self, kind: MailKind, contact: str, *, address: str | None = None) -> None:
        """Ask for a mail to the account with this e-mail address or phone number. Raises `TooManyAttempts`."""
        with reads_from_primary():  # a replica may not have a new account yet
            user = await UserFilter.of_contact(contact).apply(self._users.query(include_deleted=True)).one_or_none()
        known, key = None if user is None else user.id, contact_key(contact)
        await self._limits.hit(kind.value, user_id=known, contact=key, address=address)
        async with self._transaction(name=f"request mail: {kind}"):
            await self._mails.request(kind, known)
            await self._events.record(REQUESTED[kind], user_id=known, contact=key)

    async def request_for(self, kind: MailKind, user_id: int) -> bool:
        """Send the account such a mail, for an operator; False if it has no use for one. An invitation replaces former
        ones. Raises `UserNotFound`, `AlreadyAccepted`.
        """
        async with self._transaction(name=f"send mail: {kind}"):
            user = await self._users.get_locked(user_id)
            if kind is MailKind.INVITE:
                if user.password_hash is not None:
                    raise AlreadyAccepted
                await self._mail_dao.revoke(user_id, [kind], at=utc_now())
            address = kind.address_of(user)
            await self._mails.send(kind, user_id, address)
        return address is not None

    async def revoke_invitations(self, user_id: int) -> int:
        """Revoke the account's invitations; return the number of those that weren't used. Raises `UserNotFound`."""
        async with self._transaction(name="revoke invitations"):
            await self._users.get_locked(user_id)
            return await self._mail_dao.revoke(user_id, [MailKind.INVITE], at=utc_now())

    async def verify(self, secret: str) -> None:
        """Mark the address that the secret was sent to as proven. One that was to replace the account's does so now:
        the former one is told, and every login ends. Raises `LinkRefused`, `EmailTaken`.
        """
        mail, user = await self._known(secret, *VERIFYING)
        with contacts_taken():
            async with self._using(mail, user) as current:
                former = current.email
                replaces = current.pending_email is not None and _same(current.pending_email, mail.address)
                if replaces:
                    current.take_pending()
                elif not _same(current.email, mail.address):
                    raise LinkRefused
                current.email_verified_at = utc_now()
                await self._users.flush()  # an address that was taken meanwhile is found here
                if replaces:
                    await self._tokens.revoke_all(user.id, at=utc_now())
                    await self._mails.send(MailKind.ADDRESS_CHANGED, user.id, former)
                    await self._mail_dao.revoke(user.id, SECRET_KINDS, at=utc_now())
                    await self._events.record(SecurityEvent.CONTACT_CHANGED, user_id=user.id, by="verify")
                else:
                    await self._mail_dao.revoke(user.id, VERIFYING, at=utc_now())
                await self._events.record(SecurityEvent.EMAIL_VERIFIED, user_id=user.id)

    async def recover(self, secret: str, password: str) -> None:
        """Set the password, end every login, and tell the owner. The address is proven by it, too. Raises
        `LinkRefused`, `InvalidPassword`.
        """
        await self._set_password(secret, password, MailKind.RECOVER)

    async def accept(self, secret: str, password: str) -> None:
        """Accept an invitation: set the account's first password. Raises as `recover` does."""
        await self._set_password(secret, password, MailKind.INVITE)

    async def mark_verified(self, user_id: int) -> User:
        """Mark the account's address as proven, for an operator who knows. Raises `UserNotFound`."""
        async with self._transaction(name="mark address as verified"):
            user = await self._users.get_locked(user_id)
            if user.email is not None and user.email_verified_at is None:
                user.email_verified_at = utc_now()
                await self._mail_dao.revoke(user_id, VERIFYING, at=utc_now())
                await self._events.record(SecurityEvent.EMAIL_VERIFIED, user_id=user_id, by="command")
        return user

    async def _set_password(self, secret: str, password: str, kind: MailKind) -> None:
        mail, user = await self._known(secret, kind)
        check_new_password(password, user=user)
        hashed = await self._passwords.hash(password)
        async with self._using(mail, user) as current:
            if kind.address_of(current) is None or not _same(current.email, mail.address):
                raise LinkRefused
            current.password_hash = hashed
            if current.email_verified_at is None:
                current.email_verified_at = utc_now()
                await self._events.record(SecurityEvent.EMAIL_VERIFIED, user_id=user.id, by=kind.value)
            await self._tokens.revoke_all(user.id, at=utc_now())
            await self._mail_dao.revoke(user.id, SECRET_KINDS, at=utc_now())
            await self._events.record(SecurityEvent.PASSWORD_CHANGED, user_id=user.id, by=kind.value)
            if kind is MailKind.RECOVER:
                await self._mails.send(MailKind.PASSWORD_CHANGED, user.id, mail.address)

    async def _known(self, secret: str, *kinds: MailKind) -> tuple[Mail, User]:
        """Return the mail with this secret and its account, before anything costly. Raises `LinkRefused`."""
        with reads_from_primary():
            found = await self._mail_dao.with_user(digest_of(secret)) if may_be_secret(secret) else None
        if found is None or found[0].kind not in kinds or not found[0].live(utc_now()) or not found[1].active:
            raise LinkRefused
        return found

    @asynccontextmanager
    async def _using(self, mail: Mail, user: User) -> AsyncIterator[User]:
        """Use up the secret in one transaction with the block, which has the locked account. Raises `LinkRefused`."""
        with acting_as(user.id):
            async with self._transaction(name=f"use mail: {mail.kind}"):
                try:
                    current = await self._users.get_locked(user.id)
                except UserNotFound:
                    raise LinkRefused from None
                if not current.active or not await self._mail_dao.use(mail.id, at=utc_now()):
                    raise LinkRefused
                yield current


def _same(address: str | None, other: str) -> bool:
    return address is not None and email_key(address) == email_key(other)

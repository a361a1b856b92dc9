"""Mails: write mails to accounts, and store the messages that send them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from domain import OutboxMessage
from domain.errors import DomainError
from domain.mail import Mail, MailKind
from domain.token import digest_of
from domain.user import User, UserStatus
from repositories.errors import UserNotFound
from repositories.mail_dao import MailDao
from repositories.user_dao import UserDao
from services.messaging.mail_templates import MailTemplates
from services.messaging.notifier import Notification
from services.messaging.outbox_service import OutboxService
from unitwork import Propagation, TransactionProvider, reads_from_primary
from unitwork.models import utc_now

MAIL: Final = "mail.due"
"""The topic of a message that sends a mail."""
NOTICE_LIFETIME: Final = timedelta(days=3)
"""Time after which a notice that couldn't be sent is out of date."""


class MailOptions(Protocol):
    """Lifetimes of mailed secrets, texts, and the pages that mails link to. The settings' section implements it."""

    @property
    def verify_lifetime(self) -> timedelta: ...

    @property
    def recover_lifetime(self) -> timedelta: ...

    @property
    def invite_lifetime(self) -> timedelta: ...

    @property
    def templates(self) -> Path | None: ...

    @property
    def language(self) -> str: ...

    @property
    def pages(self) -> str: ...


class SecretKeyChanged(DomainError):
    """A mail's secret can't be computed, as the service's key was changed after it was written."""

    def __str__(self) -> str:
        return "SECRET_KEY was changed after this mail was written, so its link can't be made; have its reader ask anew"


class Mails:
    """Writer of mails. A mail follows the commit of the transaction that asks for it, by a message of the outbox."""

    def __init__(
        self,
        transaction: TransactionProvider,
        users: UserDao,
        mails: MailDao,
        outbox: OutboxService,
        options: MailOptions,
        signing_key: Callable[[], str],
    ) -> None:
        self._transaction = transaction
        self._users = users
        self._mails = mails
        self._outbox = outbox
        self._options = options
        self._signing_key = signing_key

    async def request(self, kind: MailKind, user_id: int | None) -> None:
        """Store the message for a mail to the account's address, in the ambient transaction. The worker finds out
        whether the account is sent one: what is stored, and the work of it, is the same for None, which is nobody.
        """
        await self._outbox.append(MAIL, {"user_id": str(user_id or 0), "kind": kind.value})

    async def send(self, kind: MailKind, user_id: int, address: str | None) -> None:
        """Store a mail to this address, which may be the account's no longer, with its message; None is no address.
        Joins the ambient transaction.
        """
        if address is None:
            return
        async with self._transaction(Propagation.MANDATORY):
            mail = Mail.write(user_id, kind, address, lifetime=self._lifetime(kind), key=self._signing_key())
            await self._mails.add(mail)
            await self._outbox.append(MAIL, {"user_id": str(user_id), "mail_id": str(mail.id)})

    async def invite(self, users: Sequence[User]) -> None:
        """Store invitations to new accounts, and their messages, for those that have an address and may log in. Joins
        the ambient transaction.
        """
        key, lifetime = self._signing_key(), self._lifetime(MailKind.INVITE)
        invited = [(user.id, user.email) for user in users if user.email and user.status is not UserStatus.SUSPENDED]
        async with self._transaction(Propagation.MANDATORY):
            mails = [
                Mail.write(user_id, MailKind.INVITE, address, lifetime=lifetime, key=key)
                for user_id, address in invited
            ]
            await self._mails.add_many(mails)
            await self._outbox.append_many(
                MAIL, [{"user_id": str(mail.user_id), "mail_id": str(mail.id)} for mail in mails]
            )

    async def due(self, message: OutboxMessage, kind: MailKind | None = None) -> Notification | None:
        """Return what a message sends; None if it is to send nothing any more. The first attempt at a message that asks
        for a mail by its `kind` writes it. Raises `SecretKeyChanged`, `UnusableTemplate`.
        """
        with reads_from_primary():
            return await self._due(message, kind)

    async def _due(self, message: OutboxMessage, kind: MailKind | None) -> Notification | None:
        payload: Mapping[str, Any] = message.payload
        mail = await self._mails.get_or_none(int(payload.get("mail_id", message.id)))
        if mail is None and "mail_id" not in payload:
            mail = await self._write(message.id, kind or MailKind(payload["kind"]), int(payload["user_id"]))
        user = None if mail is None else await self._users.get_or_none(mail.user_id)
        if mail is None or user is None or not mail.live(utc_now()):
            return None
        return self._composed(message.id, mail, user)

    async def _write(self, message_id: int, kind: MailKind, user_id: int) -> Mail | None:
        async with self._transaction(name="write mail"):
            try:
                user = await self._users.get_locked(user_id)
            except UserNotFound:
                return None
            address = kind.address_of(user)
            if address is None:
                return None
            lifetime = self._lifetime(kind)
            mail = Mail.write(user.id, kind, address, lifetime=lifetime, key=self._signing_key(), id=message_id)
            return await self._mails.add(mail)

    def _lifetime(self, kind: MailKind) -> timedelta:
        if kind is MailKind.RECOVER:
            return self._options.recover_lifetime
        if kind is MailKind.INVITE:
            return self._options.invite_lifetime
        return self._options.verify_lifetime if kind.proves else NOTICE_LIFETIME

    def _composed(self, message_id: int, mail: Mail, user: User) -> Notification:
        secret = ""
        if mail.kind.proves:
            secret = mail.secret(self._signing_key())
            if digest_of(secret) != mail.digest:
                raise SecretKeyChanged
        page = "verify" if mail.kind is MailKind.REGISTERED else mail.kind.value
        # A name that a stranger typed beside somebody's address is not mailed to it.
        known = user.display_name if mail.address == user.email and user.email_verified_at is not None else None
        values = {
            "address": mail.address,
            "expires": f"{mail.expires_at:%Y-%m-%d %H:%M} UTC",
            "link": f"{self._options.pages}/{page}#{secret}" if secret else "",
            "name": known or mail.address,
            "secret": secret,
        }
        templates = MailTemplates(self._options.templates, language=self._options.language)
        text = templates.text(mail.kind.value, user.locale, values)
        return Notification(message_id, mail.kind, user.id, mail.address, text.text, text.subject, text.html)

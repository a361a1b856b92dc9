"""SmtpNotifier: gives notifications to an SMTP server, as mails in text and HTML.

MailNotSent     the server didn't take a mail; it is tried again
"""

import socket
import ssl
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Protocol

import aiosmtplib

from domain.email_address import a_label
from domain.errors import DomainError
from services.messaging.notifier import FileNotifier, Notification, Notifier
from unitwork.models import utc_now


class Secret(Protocol):
    """A value that isn't shown. pydantic's `SecretStr` implements it."""

    def get_secret_value(self) -> str: ...


class MailServer(Protocol):
    """The server and the sender of mails. The settings' section implements it."""

    @property
    def host(self) -> str | None: ...

    @property
    def port(self) -> int: ...

    @property
    def security(self) -> str:
        """`starttls`, `tls` or `none`."""
        ...

    @property
    def ca_file(self) -> Path | None: ...

    @property
    def username(self) -> str | None: ...

    @property
    def password(self) -> Secret | None: ...

    @property
    def sender_name(self) -> str: ...

    @property
    def sender_address(self) -> str: ...

    @property
    def timeout(self) -> float: ...


class MailNotSent(DomainError):
    """The server didn't take the mail; `reason` says why, without the address."""

    def __init__(self, server: str, reason: str) -> None:
        self.server = server
        self.reason = reason
        super().__init__(server, reason)

    def __str__(self) -> str:
        return f"{self.server} {self.reason}"


def notifier_of(server: MailServer, folder: Path) -> Notifier:
    """Return the notifier for these settings: SMTP if they name a host, else files in the folder."""
    return FileNotifier(folder) if server.host is None else SmtpNotifier(server, folder)


class SmtpNotifier:
    """Gives each notification to the server, over a connection of its own. Every attempt at one has the same
    Message-ID, by which receivers recognise a second copy (docs/decisions/0127).

    Notifications to phone numbers are written to files, as no mail server takes them.
    """

    def __init__(self, server: MailServer, folder: Path) -> None:
        self._server = server
        self._files = FileNotifier(folder)

    async def send(self, notification: Notification) -> None:
        """Return once the server has taken the mail. Raises `MailNotSent`."""
        if "@" not in notification.address:
            await self._files.send(notification)
            return
        async with self._connected() as client:
            await client.send_message(self.mail(notification))

    async def check(self) -> None:
        """Connect and log in as for a mail, and send none. Raises `MailNotSent`."""
        async with self._connected():
            pass

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[aiosmtplib.SMTP]:
        """Open a connection for the block, encrypted and logged in as configured. Raises `MailNotSent`."""
        server = self._server
        context = None if server.security == "none" else ssl.create_default_context(cafile=_text(server.ca_file))
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            local_hostname=socket.gethostname(),  # the default asks a name server, and blocks the loop
            timeout=server.timeout,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=context,
            username=server.username,
            password=None if server.password is None else server.password.get_secret_value(),
        )
        try:
            async with client:
                yield client
        except aiosmtplib.SMTPException as error:
            raise MailNotSent(f"the mail server {server.host}:{server.port}", _reason(error)) from None
        except OSError as error:
            reason = f"can't be talked to ({type(error).__name__}); check MAIL__HOST, MAIL__PORT and MAIL__SECURITY"
            raise MailNotSent(f"the mail server {server.host}:{server.port}", reason) from None

    async def forget(self, user_ids: Collection[int]) -> None:
        """Delete files of these accounts. What was mailed is with its receivers."""
        await self._files.forget(user_ids)

    def mail(self, notification: Notification) -> EmailMessage:
        """Return the mail of a notification."""
        sender = self._server.sender_address
        domain = sender.rpartition("@")[2]
        mail = EmailMessage(policy=SMTP)
        mail["From"] = Address(display_name=self._server.sender_name, addr_spec=sender)
        mail["To"] = _recipient(notification.address)
        mail["Subject"] = notification.subject or notification.kind
        mail["Date"] = format_datetime(utc_now())
        mail["Message-ID"] = f"<{notification.id}@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(notification.text)
        if notification.html is not None:
            mail.add_alternative(notification.html, subtype="html")
        return mail


def _recipient(address: str) -> Address:
    """Return the address with its domain as an A-label: only the part before the @ needs SMTPUTF8."""
    local, _, domain = address.rpartition("@")
    return Address(username=local, domain=a_label(domain) or domain)


def _reason(error: aiosmtplib.SMTPException) -> str:
    """Return the reason without the server's words, which may repeat the address."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused) and error.recipients:
        code = error.recipients[0].code
        return f"refuses the address ({code}); correct it, or retry the message by `gatehouse outbox retry`"
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return f"refuses the login ({error.code}); check MAIL__USERNAME and MAIL__PASSWORD"
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"answers {error.code}; its log says why"
    if isinstance(error, aiosmtplib.SMTPTimeoutError):
        return "doesn't answer in time; raise MAIL__TIMEOUT if it is slow"
    return f"can't be used ({type(error).__name__}); check MAIL__HOST, MAIL__PORT and MAIL__SECURITY"


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)

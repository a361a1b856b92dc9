"""MailServer: a real SMTP server in this process, which keeps what it took, and fails as it is told."""

import asyncio
import email
import email.policy
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from functools import partial
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USERNAME, PASSWORD = "mailer", "mail pässword"


class MailServer:
    """Answers `answers` to the next mails, in order, then 250. `kept` has each mail that was answered 250, in order."""

    def __init__(self) -> None:
        self.kept: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.answers: list[str] = []
        self.refused: set[str] = set()
        self.encrypted: list[bool] = []
        self.speaks = asyncio.Event()
        self.speaks.set()
        self.port = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return f"550 5.1.1 no mailbox of {address}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd calls it
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        await self.speaks.wait()
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            self.kept.append(email.message_from_bytes(content, policy=email.policy.default))
            self.recipients += envelope.rcpt_tos
            self.encrypted.append(session.ssl is not None)
        return answer

    def ids(self) -> list[str]:
        """The Message-IDs of what was taken."""
        return [str(mail["Message-ID"]) for mail in self.kept]

    def text(self, at: int = -1) -> str:
        """The plain text of a mail."""
        body: Any = self.kept[at].get_body(("plain",))
        return str(body.get_content())


def _logged_in(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (USERNAME.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


@asynccontextmanager
async def mail_server(
    *, tls: ssl.SSLContext | None = None, implicit: bool = False, login: bool = False
) -> AsyncIterator[MailServer]:
    """A server on this machine: with `tls` it wants STARTTLS, `implicit` speaks TLS from the first byte, and `login`
    takes no mail without the password.
    """
    server = MailServer()
    protocol = partial(
        SMTP,
        server,
        enable_SMTPUTF8=True,
        hostname="localhost",
        tls_context=None if implicit else tls,
        require_starttls=tls is not None and not implicit,
        auth_required=login,
        auth_require_tls=not implicit,
        authenticator=_logged_in if login else None,
    )
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(protocol, "localhost", 0, ssl=tls if implicit else None)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        server.speaks.set()
        listening.close()

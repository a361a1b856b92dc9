"""Mail: a mail to one address of an account. Some carry a secret, which counts once, for one purpose, until it expires.

The secret is kept nowhere: it is computed from the row and the service's key when the mail is written, so that each
attempt to send writes the same one. The row has its SHA-256.
"""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Self

from sqlalchemy import BigInteger, Enum, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from domain.email_address import MAX_LENGTH as ADDRESS_LENGTH
from domain.token import digest_of
from domain.user import User
from unitwork.audit import CONFIDENTIAL
from unitwork.models import Base, ModelMixin, UTCDateTime, utc_now

PREFIX: Final = "ghm_"
"""Prefix of secrets: secret scanners detect them by it."""
SECRET_LENGTH: Final = len(PREFIX) + 43
"""Length of a secret: the prefix and 256 bits in base64url."""


class MailKind(StrEnum):
    """Purpose of a mail; its templates are named by it."""

    REGISTERED = "registered"
    """Welcomes a new account, and asks for a proof of its address."""
    VERIFY = "verify"
    """Asks for a proof of the address: of the account's, or of the one that is to replace it."""
    RECOVER = "recover"
    """Lets the owner of the address set a new password."""
    INVITE = "invite"
    """Lets the owner of the address set the first password of an account that an admin has made."""
    ADDRESS_CHANGED = "address_changed"
    """Tells the former address that it is no longer the account's."""
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a kind of mail
    """Tells the owner that the password was set."""
    ADDRESS_TAKEN = "address_taken"
    """Tells the owner that somebody tried to register with the address."""

    @property
    def proves(self) -> bool:
        """True if the mail carries a secret."""
        return self in SECRET_KINDS

    def address_of(self, user: User) -> str | None:
        """Return the address to which an account is sent such a mail now; None if it isn't sent one."""
        if not user.active:
            return None
        if self in VERIFYING:
            return user.pending_email or (user.email if user.email_verified_at is None else None)
        if self is MailKind.RECOVER:
            return user.email if user.password_hash is not None else None
        if self is MailKind.INVITE:
            return user.email if user.password_hash is None else None
        return user.email


VERIFYING: Final = frozenset({MailKind.REGISTERED, MailKind.VERIFY})
SECRET_KINDS: Final = VERIFYING | {MailKind.RECOVER, MailKind.INVITE}


class Mail(ModelMixin, Base):
    """A mail, with the digest of its secret if it carries one."""

    __tablename__ = "mails"
    __shown__ = ("id", "user_id", "kind", "expires_at", "used_at", "revoked_at")
    __table_args__ = (UniqueConstraint("digest"),)

    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    kind: Mapped[MailKind] = mapped_column(
        Enum(
            MailKind,
            native_enum=False,
            length=32,
            validate_strings=True,
            values_callable=lambda kinds: [kind.value for kind in kinds],
        )
    )
    address: Mapped[str] = mapped_column(String(ADDRESS_LENGTH))
    """The address that it is sent to, and of which its secret is a proof."""
    salt: Mapped[str] = mapped_column(String(32), info={CONFIDENTIAL: True})
    digest: Mapped[str | None] = mapped_column(String(64), info={CONFIDENTIAL: True})
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """Moment after which the secret doesn't count, or the notice isn't sent any more."""
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    @classmethod
    def write(
        cls, user_id: int, kind: MailKind, address: str, *, lifetime: timedelta, key: str, id: int | None = None
    ) -> Self:
        """Return a new mail, not yet stored; its secret can be computed with `key`. `id` is that of the message that
        asks for it, so that it is written once however often the message is handled.
        """
        mail = cls(
            user_id=user_id, kind=kind, address=address, salt=secrets.token_hex(16), expires_at=utc_now() + lifetime
        )
        if id is not None:
            mail.id = id
        if kind.proves:
            mail.digest = digest_of(mail.secret(key))
        return mail

    def secret(self, key: str) -> str:
        """Compute the secret. With another key than that of `write` it doesn't match the digest."""
        text = f"mail {self.kind.value} {self.salt}".encode()
        mac = hmac.digest(key.encode(), text, hashlib.sha256)
        return PREFIX + base64.urlsafe_b64encode(mac).decode("ascii").rstrip("=")

    def live(self, now: datetime) -> bool:
        """True if the secret counts at this moment, or the notice is still to be sent."""
        return self.used_at is None and self.revoked_at is None and not self.deleted and now < self.expires_at


def may_be_secret(text: str) -> bool:
    """True if the text has the form of a mailed secret; any other isn't looked up."""
    return text.startswith(PREFIX) and len(text) == SECRET_LENGTH and text.isascii()

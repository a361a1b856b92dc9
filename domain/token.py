"""Token: the right to act as a user (access), or to be given such a right (refresh), until it expires or is revoked.

Only its SHA-256 is stored. The tokens of one login are a family: each refresh adds to it, and it is revoked as a whole.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple, Self

from sqlalchemy import BigInteger, Enum, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from unitwork.audit import CONFIDENTIAL
from unitwork.models import Base, ModelMixin, UTCDateTime, utc_now

MAX_LENGTH: Final = 128


class TokenKind(StrEnum):
    ACCESS = "access"
    """Authenticates requests."""
    REFRESH = "refresh"
    """Buys the next pair of its family, once."""

    @property
    def prefix(self) -> str:
        """Lets secret scanners find a token that was published by mistake, and tells the kinds apart unasked."""
        return "gh_" if self is TokenKind.ACCESS else "ghr_"


class Token(ModelMixin, Base):
    """A token's digest, whose it is, and how long it counts. One that was issued outside a login has no family."""

    __tablename__ = "tokens"
    __shown__ = ("id", "user_id", "kind", "expires_at", "rotated_at", "revoked_at")
    __table_args__ = (UniqueConstraint("digest"),)

    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    kind: Mapped[TokenKind] = mapped_column(
        Enum(
            TokenKind,
            native_enum=False,
            length=16,
            validate_strings=True,
            values_callable=lambda kinds: [kind.value for kind in kinds],
        ),
        default=TokenKind.ACCESS,
    )
    family: Mapped[str | None] = mapped_column(String(32), index=True)
    digest: Mapped[str] = mapped_column(String(64), info={CONFIDENTIAL: True})
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    rotated_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When this refresh token was used. It counts once: whoever shows it again is not to be trusted."""
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    @classmethod
    def issue(
        cls,
        user_id: int,
        *,
        lifetime: timedelta,
        kind: TokenKind = TokenKind.ACCESS,
        family: str | None = None,
    ) -> tuple[Self, str]:
        """A new token, not yet stored, and its secret (256 bits), which is nowhere else and can't be had again."""
        secret = kind.prefix + secrets.token_urlsafe(32)
        token = cls(
            user_id=user_id, kind=kind, family=family, digest=digest_of(secret), expires_at=utc_now() + lifetime
        )
        return token, secret

    def live(self, now: datetime) -> bool:
        """Whether the token still counts."""
        return self.rotated_at is None and self.revoked_at is None and not self.deleted and now < self.expires_at


class TokenPair(NamedTuple):
    """What a login and each refresh give: two secrets, and how long the first one counts."""

    access: str
    refresh: str
    lifetime: timedelta


def new_family() -> str:
    """The name of a new login's tokens."""
    return secrets.token_hex(16)


def well_formed(secret: str, kind: TokenKind) -> bool:
    """Whether the text can be a secret of this kind; what can't is never looked up."""
    return secret.startswith(kind.prefix) and len(secret) <= MAX_LENGTH


def digest_of(secret: str) -> str:
    """The SHA-256 (hex) under which a secret is stored and looked up."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()

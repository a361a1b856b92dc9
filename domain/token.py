"""Token: the right to act as a user (access), or to get such a token (refresh), until it expires or is revoked.

Only its SHA-256 is stored. The tokens of one login form a family: each refresh adds to it, and it is revoked as a
whole.
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
    """Can be exchanged once for the next pair of its family."""

    @property
    def prefix(self) -> str:
        """Return the prefix of secrets: secret scanners detect leaked tokens by it, and it distinguishes the kinds."""
        return "gh_" if self is TokenKind.ACCESS else "ghr_"


class Token(ModelMixin, Base):
    """A token's digest, owner and validity. A token issued outside a login has no family."""

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
    logged_in_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Moment when the token's login began; for a token outside a login, when it was issued."""
    rotated_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Moment when this refresh token was used. It is valid once: a second use means that it was stolen."""
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    @classmethod
    def issue(
        cls,
        user_id: int,
        *,
        lifetime: timedelta,
        kind: TokenKind = TokenKind.ACCESS,
        family: str | None = None,
        logged_in_at: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[Self, str]:
        """Return a new token, not yet stored, and its secret (256 bits), which is kept nowhere. Without `logged_in_at`
        the login begins now; the token expires at `until` at the latest.
        """
        secret = kind.prefix + secrets.token_urlsafe(32)
        now = utc_now()
        expires_at = now + lifetime if until is None else min(now + lifetime, until)
        token = cls(
            user_id=user_id,
            kind=kind,
            family=family,
            digest=digest_of(secret),
            expires_at=expires_at,
            logged_in_at=logged_in_at or now,
        )
        return token, secret

    def fresh(self, now: datetime, within: timedelta) -> bool:
        """True if the token's login began at most so long ago."""
        begun = self.logged_in_at or self.created_at
        return now - begun <= within

    def live(self, now: datetime) -> bool:
        """True if the token is valid at this moment."""
        return self.rotated_at is None and self.revoked_at is None and not self.deleted and now < self.expires_at


class TokenPair(NamedTuple):
    """The result of a login or a refresh: two secrets, and the lifetime of the access token."""

    access: str
    refresh: str
    lifetime: timedelta


def new_family() -> str:
    """Return a random name for a new login's family."""
    return secrets.token_hex(16)


def well_formed(secret: str, kind: TokenKind) -> bool:
    """True if the text has the form of a secret of this kind; any other isn't looked up."""
    return secret.startswith(kind.prefix) and len(secret) <= MAX_LENGTH


def digest_of(secret: str) -> str:
    """Return the SHA-256 (hex) under which a secret is stored and looked up."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()

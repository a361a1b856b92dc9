"""Token: the right to act as a user, until it expires or is revoked. Only its SHA-256 is stored."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import BigInteger, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from domain.audit_entry import CONFIDENTIAL
from domain.model import Base, ModelMixin
from domain.utc_datetime import UTCDateTime, utc_now

PREFIX: Final = "gh_"
"""Lets secret scanners find a token that was published by mistake."""
MAX_LENGTH: Final = 128


class Token(ModelMixin, Base):
    """An access token's digest, whose it is, and how long it counts."""

    __tablename__ = "tokens"
    __table_args__ = (UniqueConstraint("digest"),)

    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(String(64), info={CONFIDENTIAL: True})
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    @classmethod
    def issue(cls, user_id: int, *, lifetime: timedelta) -> tuple["Token", str]:
        """A new token, not yet stored, and its secret (256 bits), which is nowhere else and can't be had again."""
        secret = PREFIX + secrets.token_urlsafe(32)
        return cls(user_id=user_id, digest=digest_of(secret), expires_at=utc_now() + lifetime), secret

    def live(self, now: datetime) -> bool:
        """Whether the token still counts."""
        return self.revoked_at is None and not self.deleted and now < self.expires_at


def digest_of(secret: str) -> str:
    """The SHA-256 (hex) under which a secret is stored and looked up."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()

"""Token: the right to act as a user (access), or to get such a token (refresh), until it expires or is revoked.

Only its SHA-256 is stored. The tokens of one login form a family: each refresh adds to it, and it is revoked as a
whole.
"""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple, Self

from sqlalchemy import BigInteger, Enum, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from domain.client_address import current_client_address
from domain.key import NAME_LENGTH, NEVER, RANDOM_LENGTH, Scope, is_key, key_name, new_key, scopes_text
from domain.user_agent import MAX_LENGTH as USER_AGENT_LENGTH
from domain.user_agent import current_user_agent
from unitwork.audit import CONFIDENTIAL
from unitwork.models import Base, ModelMixin, UTCDateTime, utc_now

MAX_LENGTH: Final = 128


class TokenKind(StrEnum):
    ACCESS = "access"
    """Authenticates requests."""
    REFRESH = "refresh"
    """Can be exchanged once for the next pair of its family."""
    KEY = "key"
    """Authenticates requests of a program, within its scopes, for the account's owner."""
    SERVICE = "service"
    """As a key, made by an admin."""

    @property
    def prefix(self) -> str:
        """Return the prefix of secrets: secret scanners detect leaked tokens by it, and it distinguishes the kinds."""
        return PREFIXES[self]

    @property
    def lasting(self) -> bool:
        """True for keys, which belong to no login."""
        return self in {TokenKind.KEY, TokenKind.SERVICE}


PREFIXES: Final = {
    TokenKind.ACCESS: "gh_",
    TokenKind.REFRESH: "ghr_",
    TokenKind.KEY: "gh_pk_",
    TokenKind.SERVICE: "gh_sk_",
}
"""Prefixes of secrets. An access token may happen to begin as a key does; it is shorter."""
ACCESS_LENGTH: Final = len(PREFIXES[TokenKind.ACCESS]) + RANDOM_LENGTH


class Token(ModelMixin, Base):
    """A token's digest, owner and validity. A token issued outside a login has no family."""

    __tablename__ = "tokens"
    __shown__ = ("id", "user_id", "kind", "scopes", "expires_at", "rotated_at", "revoked_at")
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
    address: Mapped[str | None] = mapped_column(String(64))
    """Network address from which it was asked for."""
    user_agent: Mapped[str | None] = mapped_column(String(USER_AGENT_LENGTH))
    """Program that asked for it, as it calls itself."""
    name: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    """Name of a key."""
    scopes: Mapped[str | None] = mapped_column(String(500))
    """Scopes of a key, separated by spaces; None for a token with all rights of its account."""
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Moment when a key was used, to the minute."""

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
            address=current_client_address(),
            user_agent=current_user_agent(),
        )
        return token, secret

    @classmethod
    def issue_key(
        cls, user_id: int, kind: TokenKind, *, name: str, scopes: Iterable[str], lifetime: timedelta | None
    ) -> tuple[Self, str]:
        """Return a new key, not yet stored, and its secret, which is kept nowhere. Raises `InvalidText`."""
        secret, now = new_key(kind.prefix), utc_now()
        key = cls(
            user_id=user_id,
            kind=kind,
            digest=digest_of(secret),
            name=key_name(name),
            scopes=scopes_text(scopes),
            expires_at=NEVER if lifetime is None else now + lifetime,
            logged_in_at=now,
            address=current_client_address(),
            user_agent=current_user_agent(),
        )
        return key, secret

    @property
    def service(self) -> bool:
        """True for a service key."""
        return self.kind is TokenKind.SERVICE

    def allows(self, scope: Scope | None) -> bool:
        """True if the token may do what needs this scope; None needs all rights of the account."""
        return not self.kind.lasting or (scope is not None and scope in (self.scopes or "").split())

    def fresh(self, now: datetime, within: timedelta) -> bool:
        """True if the token's login began at most so long ago; a key has no login."""
        if self.kind.lasting:
            return False
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
    if kind.lasting:
        return is_key(secret, kind.prefix)
    longest = ACCESS_LENGTH if kind is TokenKind.ACCESS else MAX_LENGTH  # a longer one is a mistyped key
    return secret.startswith(kind.prefix) and len(secret) <= longest


def kind_of(secret: str) -> TokenKind | None:
    """Return the kind of token that authenticates requests of which this may be a secret; None if it is of none."""
    kinds = (TokenKind.KEY, TokenKind.SERVICE, TokenKind.ACCESS)
    return next((kind for kind in kinds if well_formed(secret, kind)), None)


def digest_of(secret: str) -> str:
    """Return the SHA-256 (hex) under which a secret is stored and looked up."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()

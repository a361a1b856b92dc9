"""AccessService: what can act for an account, its logins and keys; and whether a token is valid, for other services."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from domain.errors import NotAllowed, NotAuthenticated
from domain.key import NEVER, Scope
from domain.login import Login, logins_of
from domain.token import Token, TokenKind, digest_of, kind_of
from domain.user import User
from repositories.errors import KeyNotFound, LoginNotFound
from repositories.token_dao import TokenDao
from repositories.user_dao import UserDao
from services.security_events import SecurityEvent, SecurityEvents
from unitwork import TransactionProvider, reads_from_primary
from unitwork.models import acting_as, utc_now

USED_TO_THE: Final = timedelta(minutes=1)
"""Precision of a key's last use: within it a further use writes nothing."""


@dataclass(frozen=True)
class Introspected:
    """A valid token, as another service may know it (RFC 7662)."""

    user: User
    token: Token
    scope: str
    """The token's scopes, separated by spaces."""

    @property
    def expires_at(self) -> datetime | None:
        """Return the end of its validity; None for a key that doesn't expire."""
        return None if self.token.expires_at >= NEVER else self.token.expires_at


class AccessService:
    """Lists and ends logins and keys. Writes lock the account's row, as logins do (`AuthService`)."""

    def __init__(
        self, transaction: TransactionProvider, users: UserDao, tokens: TokenDao, events: SecurityEvents
    ) -> None:
        self._transaction = transaction
        self._users = users
        self._tokens = tokens
        self._events = events

    async def authenticate(self, secret: str) -> tuple[Token, User]:
        """Return the key and the account that it acts for, in one round trip, or two once a minute. The caller checks
        `Token.allows`. Access tokens are `AuthService`'s, and taken here as well. Raises `NotAuthenticated`.
        """
        with reads_from_primary():  # what is revoked is dead at the next request
            found = await self._tokens.with_user(digest_of(secret)) if kind_of(secret) is not None else None
        if found is None or not _valid(*found, kind_of(secret)):
            raise NotAuthenticated
        await self._note_use(found[0])
        return found

    async def introspect(self, caller: str, secret: str) -> Introspected | None:
        """Return the token with this secret; None unless it is a valid access token or key. `caller` is the secret of a
        key with the scope `introspect`, or an admin's access token. One round trip; notes the keys' use once a minute.

        Raises `NotAuthenticated` for another caller, `NotAllowed` for one without the right to ask.
        """
        asking = kind_of(caller)
        if asking is None:
            raise NotAuthenticated
        kind = kind_of(secret)
        digests = {digest_of(caller)} | ({digest_of(secret)} if kind is not None else set())
        with reads_from_primary():
            found = {token.digest: (token, user) for token, user in await self._tokens.with_users(digests)}
        owner = found.get(digest_of(caller))
        if owner is None or not _valid(*owner, asking):
            raise NotAuthenticated
        if not (owner[0].allows(Scope.INTROSPECT) and (owner[0].kind.lasting or owner[1].admin)):
            raise NotAllowed
        asked = None if kind is None else found.get(digest_of(secret))
        if asked is None or not _valid(*asked, kind):
            await self._note_use(owner[0])
            return None
        await self._note_use(owner[0], asked[0])
        token, user = asked
        return Introspected(user, token, token.scopes or " ".join(Scope))

    async def logins(self, user_id: int, *, current: Token | None = None) -> Sequence[Login]:
        """Return the account's logins that are in force, last used first. Raises `UserNotFound`."""
        await self._users.get(user_id)
        return logins_of(await self._tokens.of_user(user_id), utc_now(), current=current)

    async def end_login(self, user_id: int, login: str) -> None:
        """End one login of the account. Raises `LoginNotFound`, `UserNotFound`."""
        async with self._transaction(name="end login"):
            await self._users.get_locked(user_id)
            if not await self._tokens.revoke_login(user_id, login, at=utc_now()):
                raise LoginNotFound(login)
            await self._events.record(SecurityEvent.TOKEN_REVOKED, user_id=user_id, by="login")

    async def end_logins(self, user_id: int, *, keep: Token | None = None) -> None:
        """End every login of the account but the one that `keep` belongs to. Keys stay. Raises `UserNotFound`."""
        async with self._transaction(name="end logins"):
            await self._users.get_locked(user_id)
            await self._tokens.revoke_all(user_id, at=utc_now(), keep=keep, keys=False)
            await self._events.record(SecurityEvent.TOKEN_REVOKED, user_id=user_id, by="logins")

    async def keys(self, user_id: int) -> Sequence[Token]:
        """Return the account's keys that are valid, oldest first, without their secrets. Raises `UserNotFound`."""
        await self._users.get(user_id)
        now = utc_now()
        return [token for token in await self._tokens.of_user(user_id) if token.kind.lasting and token.live(now)]

    async def issue_key(
        self,
        user_id: int,
        *,
        name: str,
        scopes: Collection[str],
        lifetime: timedelta | None = None,
        service: bool = False,
    ) -> tuple[Token, str]:
        """Create a key of the account; return it and its secret, which is not stored. Raises `InvalidText`,
        `UserNotFound`.
        """
        kind = TokenKind.SERVICE if service else TokenKind.KEY
        key, secret = Token.issue_key(user_id, kind, name=name, scopes=scopes, lifetime=lifetime)
        async with self._transaction(name="issue key"):
            await self._users.get_locked(user_id)
            await self._tokens.add(key)
            await self._events.record(SecurityEvent.TOKEN_ISSUED, user_id=user_id, by="key")
        return key, secret

    async def revoke_key(self, user_id: int, key_id: int) -> None:
        """Refuse a key of the account from now on. Raises `KeyNotFound`, `UserNotFound`."""
        async with self._transaction(name="revoke key"):
            await self._users.get_locked(user_id)
            if not await self._tokens.revoke_key(user_id, key_id, at=utc_now()):
                raise KeyNotFound(key_id)
            await self._events.record(SecurityEvent.TOKEN_REVOKED, user_id=user_id, by="key")

    async def _note_use(self, *tokens: Token) -> None:
        now = utc_now()
        due = [
            token
            for token in tokens
            if token.kind.lasting and (token.last_used_at is None or now - token.last_used_at >= USED_TO_THE)
        ]
        if due:
            with acting_as(due[0].user_id):
                await self._tokens.mark_used([token.id for token in due], at=now)


def _valid(token: Token, user: User, kind: TokenKind | None) -> bool:
    return token.kind is kind and token.live(utc_now()) and user.active

"""AuthService: who is behind a token."""

from datetime import timedelta

from database import TransactionProvider
from domain.errors import NotAuthenticated
from domain.token import MAX_LENGTH, PREFIX, Token, digest_of
from domain.user import User, UserStatus
from domain.utc_datetime import utc_now
from repositories.token_dao import TokenDao
from repositories.user_dao import UserDao


class AuthService:
    """Issues, checks and revokes access tokens. Only a token's SHA-256 is ever stored."""

    def __init__(
        self, transaction: TransactionProvider, users: UserDao, tokens: TokenDao, token_lifetime: timedelta
    ) -> None:
        self._transaction = transaction
        self._users = users
        self._tokens = tokens
        self._token_lifetime = token_lifetime

    async def issue(self, user_id: int, *, lifetime: timedelta | None = None) -> tuple[Token, str]:
        """A token for the account, and its secret, which can't be had again. Raises `UserNotFound`."""
        async with self._transaction(name="issue token"):
            user = await self._users.get(user_id)
            token, secret = Token.issue(user.id, lifetime=self._token_lifetime if lifetime is None else lifetime)
            await self._tokens.add(token)
        return token, secret

    async def authenticate(self, secret: str) -> User:
        """The account the token acts for. Raises `NotAuthenticated` when the token is unknown, expired or revoked,
        or its account is deleted or suspended; which of them is not told.
        """
        if not secret.startswith(PREFIX) or len(secret) > MAX_LENGTH:
            raise NotAuthenticated
        found = await self._tokens.with_user(digest_of(secret))
        if found is None:
            raise NotAuthenticated
        token, user = found
        if not token.live(utc_now()) or user.deleted or user.status is not UserStatus.ACTIVE:
            raise NotAuthenticated
        return user

    async def revoke(self, secret: str) -> bool:
        """Refuse the token from now on; False when it is unknown or was revoked before."""
        async with self._transaction(name="revoke token"):
            return await self._tokens.revoke(digest_of(secret), at=utc_now())

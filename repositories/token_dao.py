"""TokenDao: queries on tokens."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, delete, or_, select

from domain.token import Token, TokenKind
from domain.user import User
from unitwork.dao import BaseDao

_WITH_USER: Final = (
    select(Token, User)
    .join(User, User.id == Token.user_id)
    .where(Token.digest == bindparam("digest"))
    .execution_options(include_deleted=True)
)
LASTING: Final = (TokenKind.KEY, TokenKind.SERVICE)
MAX_ID_DIGITS: Final = 18
"""Digits of the largest number that is surely an id; families are hexadecimal, and longer."""


class TokenDao(BaseDao[Token]):
    """Tokens by digest."""

    async def with_user(self, digest: str) -> tuple[Token, User] | None:
        """Return the token and its account, even if it is expired or revoked, by one statement; None without one."""
        found = await self.fetch(_WITH_USER, digest=digest)
        return found[0] if found else None

    async def with_users(self, digests: Collection[str]) -> Sequence[tuple[Token, User]]:
        """Return the tokens with these digests and their accounts, as `with_user` does, by one statement for all."""
        statement = select(Token, User).join(User, User.id == Token.user_id).where(Token.digest.in_(digests))
        async with self._reading() as session:
            rows = (await session.execute(statement.execution_options(include_deleted=True))).all()
        return [(token, user) for token, user in rows]

    async def of_user(self, user_id: int) -> Sequence[Token]:
        """Return the account's tokens that aren't revoked."""
        return await self.query().eq("user_id", user_id).is_null("revoked_at").order_by("id").all()

    async def mark_used(self, ids: Collection[int], *, at: datetime) -> None:
        """Note that these keys were used."""
        await self.update().in_("id", ids).set(last_used_at=at).execute()

    async def revoke_login(self, user_id: int, login: str, *, at: datetime) -> int:
        """Revoke the tokens of one login of the account, named as `login_id` does; return the number of those that were
        valid.
        """
        theirs = self.update().eq("user_id", user_id).is_null("revoked_at").not_in("kind", LASTING)
        if login.isascii() and login.isdecimal() and len(login) <= MAX_ID_DIGITS:
            theirs = theirs.eq("id", int(login)).is_null("family")
        else:
            theirs = theirs.eq("family", login)
        return await theirs.set(revoked_at=at).execute()

    async def revoke_key(self, user_id: int, key_id: int, *, at: datetime) -> bool:
        """Revoke a key of the account; False if it has no such key, or it was revoked before."""
        key = self.update().eq("user_id", user_id).eq("id", key_id).in_("kind", LASTING).is_null("revoked_at")
        return await key.set(revoked_at=at).execute() > 0

    async def revoke(self, digest: str, *, at: datetime) -> bool:
        """Revoke the token; False if there is none, or it was revoked before."""
        return await self.update().eq("digest", digest).is_null("revoked_at").set(revoked_at=at).execute() > 0

    async def forget(self, limit: int, *, expired_before: datetime) -> int:
        """Delete at most `limit` tokens that expired before this moment; return their number. Needs a transaction."""
        old = select(Token.id).where(Token.expires_at < expired_before).limit(limit).with_for_update(skip_locked=True)
        old = old.execution_options(include_deleted=True)
        async with self._session() as session:
            ids = (await session.scalars(old)).all()
            if ids:
                await session.execute(delete(Token).where(Token.id.in_(ids)))
        return len(ids)

    async def rotate(self, id: int, *, at: datetime) -> bool:
        """Mark a refresh token as used. Of concurrent callers one gets True; nobody does once it is revoked."""
        unused = self.update().eq("id", id).is_null("rotated_at").is_null("revoked_at")
        return await unused.set(rotated_at=at).execute() > 0

    async def revoke_family(self, family: str, *, at: datetime) -> int:
        """Revoke every token of a login; return the number of those that were valid."""
        return await self.update().eq("family", family).is_null("revoked_at").set(revoked_at=at).execute()

    async def revoke_all(self, user_id: int, *, at: datetime, keep: Token | None = None, keys: bool = True) -> int:
        """Revoke every token of an account, except service keys, without `keys` any keys, and those of the login that
        `keep` belongs to; return the number of those that were valid.
        """
        spared = [TokenKind.SERVICE] if keys else LASTING
        theirs = self.update().eq("user_id", user_id).is_null("revoked_at").not_in("kind", spared)
        if keep is not None and keep.family is None:
            theirs = theirs.ne("id", keep.id)
        elif keep is not None:
            theirs = theirs.where(or_(Token.family.is_(None), Token.family != keep.family))
        return await theirs.set(revoked_at=at).execute()

"""TokenDao: queries on tokens."""

from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, delete, or_, select

from domain.token import Token
from domain.user import User
from unitwork.dao import BaseDao

_WITH_USER: Final = (
    select(Token, User)
    .join(User, User.id == Token.user_id)
    .where(Token.digest == bindparam("digest"))
    .execution_options(include_deleted=True)
)


class TokenDao(BaseDao[Token]):
    """Tokens by digest."""

    async def with_user(self, digest: str) -> tuple[Token, User] | None:
        """Return the token and its account, even if it is expired or revoked, by one statement; None without one."""
        found = await self.fetch(_WITH_USER, digest=digest)
        return found[0] if found else None

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

    async def revoke_all(self, user_id: int, *, at: datetime, keep: Token | None = None) -> int:
        """Revoke every token of an account, except those of the login that `keep` belongs to; return the number of
        those that were valid.
        """
        theirs = self.update().eq("user_id", user_id).is_null("revoked_at")
        if keep is not None and keep.family is None:
            theirs = theirs.ne("id", keep.id)
        elif keep is not None:
            theirs = theirs.where(or_(Token.family.is_(None), Token.family != keep.family))
        return await theirs.set(revoked_at=at).execute()

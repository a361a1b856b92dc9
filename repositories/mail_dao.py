"""MailDao: queries on mails and the secrets that they carry."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, select

from domain.mail import Mail, MailKind
from domain.user import User
from unitwork.dao import BaseDao


class MailDao(BaseDao[Mail]):
    """Mails by the digest of their secret."""

    async def with_user(self, digest: str) -> tuple[Mail, User] | None:
        """Return the mail with this secret and its account, even a used or expired one, by one statement."""
        statement = select(Mail, User).join(User, User.id == Mail.user_id).where(Mail.digest == digest)
        async with self._reading() as session:
            row = (await session.execute(statement.execution_options(include_deleted=True))).first()
        return None if row is None else (row[0], row[1])

    async def use(self, id: int, *, at: datetime) -> bool:
        """Mark a mail's secret as used. Of concurrent callers one gets True, and none once it is revoked or expired."""
        unused = self.update().eq("id", id).is_null("used_at").is_null("revoked_at").gt("expires_at", at)
        return await unused.set(used_at=at).execute() > 0

    async def revoke(self, user_id: int, kinds: Collection[MailKind], *, at: datetime) -> int:
        """Revoke the unused secrets of an account's mails of these kinds; return their number."""
        theirs = self.update().eq("user_id", user_id).in_("kind", kinds).is_null("used_at").is_null("revoked_at")
        return await theirs.set(revoked_at=at).execute()

    async def forget(self, limit: int, *, expired_before: datetime) -> int:
        """Delete at most `limit` mails that expired before this moment; return their number. Needs a transaction."""
        old = select(Mail.id).where(Mail.expires_at < expired_before).limit(limit).with_for_update(skip_locked=True)
        async with self._session() as session:
            ids = (await session.scalars(old.execution_options(include_deleted=True))).all()
            if ids:
                await session.execute(delete(Mail).where(Mail.id.in_(ids)))
        return len(ids)

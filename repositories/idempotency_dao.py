"""IdempotencyDao: queries on the stored answers of requests."""

from collections.abc import Collection
from datetime import datetime

from domain.idempotency_key import IdempotencyKey
from unitwork.dao import BaseDao


class IdempotencyDao(BaseDao[IdempotencyKey]):
    """Stored answers by scope."""

    async def of_scope(self, scope: str) -> IdempotencyKey | None:
        """Return the stored answer for the scope, expired or not; None without one."""
        return await self.query().eq("scope", scope).one_or_none()

    async def forget_records(self, record_ids: Collection[int]) -> int:
        """Delete the answers that describe these records; return their number."""
        return await self.delete().in_("record_id", record_ids).execute()

    async def forget(self, limit: int, *, before: datetime) -> int:
        """Delete at most `limit` answers from before this moment; return their number."""
        expired = await self.query().lt("created_at", before).order_by("created_at").limit(limit).all()
        async with self._session() as session:
            for row in expired:
                await session.delete(await session.merge(row))
            await session.flush()
        return len(expired)

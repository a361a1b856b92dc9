"""IdempotencyDao: what we ask about requests that were answered before."""

from datetime import datetime

from domain.idempotency_key import IdempotencyKey
from unitwork.dao import BaseDao


class IdempotencyDao(BaseDao[IdempotencyKey]):
    """Answers by their scope, besides what every DAO can do."""

    async def of_scope(self, scope: str) -> IdempotencyKey | None:
        """What is stored for it, expired or not."""
        return await self.query().eq("scope", scope).one_or_none()

    async def forget(self, limit: int, *, before: datetime) -> int:
        """Delete answers from before that moment, at most so many; the number deleted."""
        expired = await self.query().lt("created_at", before).order_by("created_at").limit(limit).all()
        async with self._session() as session:
            for row in expired:
                await session.delete(await session.merge(row))
            await session.flush()
        return len(expired)

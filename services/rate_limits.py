"""RateLimits: how often something was tried, by account and by address."""

import hashlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from limits import RateLimitItem, parse_many
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError

from domain.errors import TooManyAttempts
from services.attempts import Attempts

log = logging.getLogger("gatehouse.rate_limits")

ASK_AGAIN_AFTER: Final = 5.0
"""Seconds for which a Redis that didn't answer isn't asked again."""


class RateLimits:
    """Counts in Redis when its URL is given, so that processes count together, else in memory. While Redis doesn't
    answer, each process counts for itself: nobody is locked out, and nobody gets in unlimited (docs/decisions/0040).

    `rates` by name: `login_account`, `login_address`, and so on; what isn't there isn't limited.
    """

    def __init__(
        self,
        rates: Mapping[str, str],
        *,
        max_keys: int = 100_000,
        redis_url: Any = None,
        on_close: Callable[[Callable[[], Awaitable[Any]]], Any],
    ) -> None:
        self._rates = {name: parse_many(text) for name, text in rates.items()}
        self._memory = FixedWindowRateLimiter(Attempts(max_keys))
        self._redis: FixedWindowRateLimiter | None = None
        self._ask_redis_at = 0.0
        if redis_url is not None:
            from services import redis_attempts  # noqa: PLC0415 - Redis's client is slow to import

            pool = redis_attempts.redis_pool(redis_url.get_secret_value())
            on_close(pool.aclose)
            self._redis = FixedWindowRateLimiter(redis_attempts.redis_storage(pool))

    async def hit(self, purpose: str, *, account: str | None = None, address: str | None = None) -> None:
        """Count one attempt: first on the address, and where that has any left on the account, so that one address
        can't fill the memory with accounts. Raises `TooManyAttempts`; what was counted stays counted.
        """
        if address is not None:
            await self._hit_all(f"{purpose}_address", address)
        if account is not None:
            await self._hit_all(f"{purpose}_account", account)

    async def _hit_all(self, name: str, whose: str) -> None:
        # Not the e-mail address itself: it has no business in Redis.
        key = hashlib.sha256(whose.encode("utf-8", "surrogatepass")).hexdigest()
        for rate in self._rates.get(name, ()):
            retry_after = await self._retry_after(rate, name, key)
            if retry_after is not None:
                raise TooManyAttempts(retry_after)

    async def _retry_after(self, rate: RateLimitItem, *key: str) -> int | None:
        """None when the attempt is within the rate."""
        if self._redis is not None and time.monotonic() >= self._ask_redis_at:
            try:
                return await _hit(self._redis, rate, *key)
            except (StorageError, OSError) as error:
                self._ask_redis_at = time.monotonic() + ASK_AGAIN_AFTER
                what = type(error.storage_error if isinstance(error, StorageError) else error).__name__
                log.warning("Redis doesn't answer (%s): attempts are counted in memory", what)
        return await _hit(self._memory, rate, *key)


async def _hit(limiter: FixedWindowRateLimiter, rate: RateLimitItem, *key: str) -> int | None:
    if await limiter.hit(rate, *key):
        return None
    ends, _ = await limiter.get_window_stats(rate, *key)
    return max(1, math.ceil(ends - time.time()))

"""RateLimits: how often something was tried, by account and by address."""

import hashlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from limits import RateLimitItem, parse_many
from limits.aio.storage import RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from domain.errors import TooManyAttempts
from services.attempts import Attempts

log = logging.getLogger("gatehouse.rate_limits")

ANSWERS_WITHIN: Final = 0.25
"""Seconds that Redis has to take a connection, and for each answer."""
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
            pool = redis_pool(redis_url.get_secret_value())
            on_close(pool.aclose)
            self._redis = FixedWindowRateLimiter(_redis_storage(pool))

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
            except (RedisError, OSError) as error:
                self._ask_redis_at = time.monotonic() + ASK_AGAIN_AFTER
                log.warning("Redis doesn't answer (%s): attempts are counted in memory", type(error).__name__)
        return await _hit(self._memory, rate, *key)


async def _hit(limiter: FixedWindowRateLimiter, rate: RateLimitItem, *key: str) -> int | None:
    if await limiter.hit(rate, *key):
        return None
    ends, _ = await limiter.get_window_stats(rate, *key)
    return max(1, math.ceil(ends - time.time()))


def redis_pool(url: str) -> ConnectionPool:
    """Tries once: who waits is a request. Its own timeouts, as a cancellation would leave a connection half made."""
    patience = {"socket_timeout": ANSWERS_WITHIN, "socket_connect_timeout": ANSWERS_WITHIN}
    return ConnectionPool.from_url(url, retry=Retry(NoBackoff(), 0), **patience)


def _redis_storage(pool: ConnectionPool) -> RedisStorage:
    options: Any = {"connection_pool": pool}
    return RedisStorage("redis://", implementation="redispy", key_prefix="gatehouse", **options)

"""RateLimits: limit attempts by account and by address."""

import hashlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from limits import RateLimitItem, parse_many
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError

from domain.errors import TooManyAttempts
from services.attempts import Attempts

log = logging.getLogger("gatehouse.rate_limits")

ASK_AGAIN_AFTER: Final = 5.0
"""Seconds to wait before Redis is tried again after a failure."""


class Reached(Protocol):
    """Callback for a reached limit, with its name, the account and the client's address."""

    async def __call__(self, limit: str, *, account: str | None, address: str | None) -> None: ...


class RateLimits:
    """Counts attempts in Redis if its URL is configured, so that processes share counters; else in memory.

    While Redis fails, each process counts by itself: nobody is locked out, and nobody is unlimited
    (docs/decisions/0040). Settings are read at each attempt. `rates` maps names such as `login_account` and
    `login_address` to limits; a missing name is unlimited. Counters in memory are kept when settings change.
    """

    def __init__(
        self,
        rates: Callable[[], Mapping[str, str]],
        *,
        max_keys: Callable[[], int],
        redis_url: Callable[[], Any],
        on_close: Callable[[], Callable[[Callable[[], Awaitable[Any]]], Any]],
        on_reached: Callable[[], Reached] | None = None,
    ) -> None:
        self._rates = rates
        self._redis_url = redis_url
        self._on_close = on_close
        self._on_reached = on_reached
        self._memory = FixedWindowRateLimiter(Attempts(max_keys))
        self._servers: dict[str, _Redis] = {}
        """Redis connections by URL; those no longer in use are closed with the container."""

    async def hit(self, purpose: str, *, account: str | None = None, address: str | None = None) -> None:
        """Count one attempt, by address and then by account.

        An address that has reached its limit isn't counted for the account, so that it can't fill the memory with
        accounts. Raises `TooManyAttempts`; the attempt counts nevertheless.
        """
        if address is not None:
            await self._hit_all(f"{purpose}_address", address)
        if account is not None:
            await self._hit_all(f"{purpose}_account", account)

    async def forget(self, accounts: Collection[str]) -> None:
        """Forget attempts on these accounts: their persons are purged. What other processes count in memory ends with
        its window; a Redis that doesn't answer forgets by itself likewise.
        """
        redis = self._redis()
        limiters = [self._memory, *([] if redis is None else [redis.limiter])]
        for name, limits in self._rates().items():
            if not name.endswith("_account"):
                continue
            for account in accounts:
                for rate in parse_many(limits):
                    for limiter in limiters:
                        with suppress(StorageError, OSError):
                            await limiter.clear(rate, name, _key(account))

    async def _hit_all(self, name: str, whose: str) -> None:
        key = _key(whose)
        limits = self._rates().get(name)
        for rate in () if limits is None else parse_many(limits):
            retry_after = await self._retry_after(rate, name, key)
            if retry_after is not None:
                if self._on_reached is not None:
                    by_account = name.endswith("_account")
                    account, address = (whose, None) if by_account else (None, whose)
                    await self._on_reached()(name, account=account, address=address)
                raise TooManyAttempts(retry_after)

    async def _retry_after(self, rate: RateLimitItem, *key: str) -> int | None:
        """Count an attempt; return the seconds to wait, or None if it is within the rate."""
        redis = self._redis()
        if redis is not None and time.monotonic() >= redis.ask_at:
            try:
                return await _hit(redis.limiter, rate, *key)
            except (StorageError, OSError) as error:
                redis.ask_at = time.monotonic() + ASK_AGAIN_AFTER
                what = type(error.storage_error if isinstance(error, StorageError) else error).__name__
                log.warning("Redis doesn't answer (%s): attempts are counted in memory", what)
        return await _hit(self._memory, rate, *key)

    def _redis(self) -> "_Redis | None":
        secret = self._redis_url()
        if secret is None:
            return None
        url = secret.get_secret_value()
        if url not in self._servers:
            from services import redis_attempts  # noqa: PLC0415 - Redis's client is slow to import

            pool = redis_attempts.redis_pool(url)
            self._on_close()(pool.aclose)
            self._servers[url] = _Redis(FixedWindowRateLimiter(redis_attempts.redis_storage(pool)))
        return self._servers[url]


@dataclass
class _Redis:
    limiter: FixedWindowRateLimiter
    ask_at: float = 0.0
    """Moment of the next attempt after a failure, by `time.monotonic()`."""


def _key(whose: str) -> str:
    """Return the key's SHA-256, so that Redis holds no e-mail addresses."""
    return hashlib.sha256(whose.encode("utf-8", "surrogatepass")).hexdigest()


async def _hit(limiter: FixedWindowRateLimiter, rate: RateLimitItem, *key: str) -> int | None:
    if await limiter.hit(rate, *key):
        return None
    ends, _ = await limiter.get_window_stats(rate, *key)
    return max(1, math.ceil(ends - time.time()))

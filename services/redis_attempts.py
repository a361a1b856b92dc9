"""Attempts in Redis. Imported only if Redis is configured, as its client takes long to import (docs/decisions/0045)."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final

from limits.aio.storage import RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

ANSWERS_WITHIN: Final = 0.25
"""Timeout in seconds, for connecting and for each answer."""
PREFIX: Final = "gatehouse"
"""Prefix of all keys. After it and a word they name the account or address by its digest:
`gatehouse:LIMITER/<digest>/…` (counters, as `limits` writes them), `gatehouse:KNOWN/<digest>/<digest of the network>`.
"""
SCANNED_AT_ONCE: Final = 1000


def redis_pool(url: str) -> ConnectionPool:
    """Return a pool without retries, as a request is waiting. It has its own timeouts: cancelling would leave a
    connection half open.
    """
    patience = {"socket_timeout": ANSWERS_WITHIN, "socket_connect_timeout": ANSWERS_WITHIN}
    return ConnectionPool.from_url(url, retry=Retry(NoBackoff(), 0), **patience)


class RedisAttempts:
    """Counters and known networks in one Redis. Every error of the client is a `limits.errors.StorageError`."""

    def __init__(self, pool: ConnectionPool) -> None:
        options: Any = {"connection_pool": pool, "wrap_exceptions": True}
        self.limiter = FixedWindowRateLimiter(
            RedisStorage("redis://", implementation="redispy", key_prefix=PREFIX, **options)
        )
        self._redis: Redis = Redis(connection_pool=pool)

    async def remember(self, account: str, network: str, seconds: int) -> None:
        """Remember for so many seconds that a login of the account came from the network."""
        with _wrapped():
            await self._redis.set(_known(account, network), 1, ex=seconds)

    async def remembers(self, account: str, network: str) -> bool:
        """True when a login of the account from the network is remembered."""
        with _wrapped():
            return bool(await self._redis.exists(_known(account, network)))

    async def forget(self, accounts: Collection[str]) -> None:
        """Delete the counters and known networks of these accounts, in one scan of our keys."""
        with _wrapped():
            keys = self._redis.scan_iter(f"{PREFIX}:*", count=SCANNED_AT_ONCE)
            found = [key async for key in keys if _owner(key) in accounts]
            if found:
                await self._redis.delete(*found)


def _known(account: str, network: str) -> str:
    return f"{PREFIX}:KNOWN/{account}/{network}"


def _owner(key: bytes) -> str:
    """Return the digest of the account or address that a key is about."""
    _, _, rest = key.decode("utf-8", "replace").partition("/")
    return rest.partition("/")[0]


@contextmanager
def _wrapped() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise StorageError(error) from error

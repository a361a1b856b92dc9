"""Attempts counted in Redis. Imported by those who have one, as its client takes a while (docs/decisions/0045)."""

from typing import Any, Final

from limits.aio.storage import RedisStorage
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

ANSWERS_WITHIN: Final = 0.25
"""Seconds that Redis has to take a connection, and for each answer."""


def redis_pool(url: str) -> ConnectionPool:
    """Tries once: who waits is a request. Its own timeouts, as a cancellation would leave a connection half made."""
    patience = {"socket_timeout": ANSWERS_WITHIN, "socket_connect_timeout": ANSWERS_WITHIN}
    return ConnectionPool.from_url(url, retry=Retry(NoBackoff(), 0), **patience)


def redis_storage(pool: ConnectionPool) -> RedisStorage:
    """Its counters raise `limits.errors.StorageError`, whatever the client raises."""
    options: Any = {"connection_pool": pool, "wrap_exceptions": True}
    return RedisStorage("redis://", implementation="redispy", key_prefix="gatehouse", **options)

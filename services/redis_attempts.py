"""Attempts in Redis. Imported only if Redis is configured, as its client takes long to import (docs/decisions/0045)."""

from typing import Any, Final

from limits.aio.storage import RedisStorage
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

ANSWERS_WITHIN: Final = 0.25
"""Timeout in seconds, for connecting and for each answer."""


def redis_pool(url: str) -> ConnectionPool:
    """Return a pool without retries, as a request is waiting. It has its own timeouts: cancelling would leave a
    connection half open.
    """
    patience = {"socket_timeout": ANSWERS_WITHIN, "socket_connect_timeout": ANSWERS_WITHIN}
    return ConnectionPool.from_url(url, retry=Retry(NoBackoff(), 0), **patience)


def redis_storage(pool: ConnectionPool) -> RedisStorage:
    """Return a storage that raises `limits.errors.StorageError` for every error of the client."""
    options: Any = {"connection_pool": pool, "wrap_exceptions": True}
    return RedisStorage("redis://", implementation="redispy", key_prefix="gatehouse", **options)

"""Redis URL: validation that never shows the URL, which may contain a password."""

from pydantic import SecretStr


def accepted_redis_url(value: SecretStr) -> SecretStr:
    """Return the URL unchanged. Raises ValueError, which doesn't contain it, if it isn't a Redis URL."""
    from redis import ConnectionPool  # noqa: PLC0415 - slow to import, and most have no Redis

    text = value.get_secret_value()
    try:
        if not text.startswith(("redis://", "rediss://")):
            raise ValueError
        ConnectionPool.from_url(text)
    except ValueError:
        msg = "is no address of Redis; write redis://:password@host:port/0 or rediss://…"
        raise ValueError(msg) from None
    return value

"""The address of Redis, which may hold a password: never shown."""

from pydantic import SecretStr


def accepted_redis_url(value: SecretStr) -> SecretStr:
    """The URL as it is. Raises ValueError, which never repeats it, for what is no URL of Redis."""
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

"""PostgreSQL through asyncpg: what a connection is opened with, and where its failures get their names."""

from typing import Any

from settings import DatabaseSettings


def connect_args(settings: DatabaseSettings) -> dict[str, Any]:
    """A transaction pooler accepts no session settings and mixes up named statements: it gets neither."""
    arguments: dict[str, Any] = {"timeout": settings.connect_timeout}
    if settings.pooler == "pgbouncer":
        return arguments | {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
    server_settings = {"application_name": "gatehouse", "timezone": "UTC"}
    if settings.statement_timeout is not None:
        server_settings["statement_timeout"] = str(int(settings.statement_timeout * 1000))
    return arguments | {"server_settings": server_settings}

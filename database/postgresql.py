"""PostgreSQL through asyncpg: what a connection is opened with, and where its failures get their names."""

import asyncio
from typing import Any, Final

import asyncpg
from sqlalchemy import Connection

from settings import DatabaseSettings

LONGEST: Final = 2_147_483.0
"""Seconds: PostgreSQL counts milliseconds in 32 bits."""
STATEMENT_TIMEOUT_OPTION: Final = "gatehouse_statement_timeout"
"""The execution option under which an engine says what its connections are opened with."""
BOUND_OPTION: Final = "gatehouse_bound"
"""The execution option by which an engine says, with False, that its sessions outlive the deadlines of their units."""


def connect_args(settings: DatabaseSettings) -> dict[str, Any]:
    """A transaction pooler accepts no session settings and mixes up named statements: it gets neither."""
    arguments: dict[str, Any] = {"timeout": settings.connect_timeout, "connection_class": HonestConnection}
    if settings.pooler == "pgbouncer":
        return arguments | {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
    server_settings = {"application_name": "gatehouse", "timezone": "UTC"}
    if settings.statement_timeout is not None:
        server_settings["statement_timeout"] = str(int(settings.statement_timeout * 1000))
    return arguments | {"server_settings": server_settings}


class HonestConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """Tells a COMMIT that was answered ROLLBACK, which asyncpg passes over as success."""

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109 - its signature
        """asyncpg's own; raises its `InFailedSQLTransactionError` when an aborted transaction was to be committed."""
        status: str = await super().execute(query, *args, timeout=timeout)
        if query == "COMMIT;" and status == "ROLLBACK":
            msg = "COMMIT was answered ROLLBACK: an error had aborted the transaction"
            raise asyncpg.InFailedSQLTransactionError(msg)
        return status


def bound(connection: Connection, deadline: float) -> None:
    """Have the server end the transaction by itself, should our own clock not reach it any more. One trip."""
    if not connection.get_execution_options().get(BOUND_OPTION, True):
        return
    version = connection.dialect.server_version_info or (0,)
    bounds = [max(deadline - asyncio.get_running_loop().time(), 0) + 1, LONGEST]
    setting = "transaction_timeout"
    if version < (17,):
        setting = "statement_timeout"
        bounds.append(connection.get_execution_options().get(STATEMENT_TIMEOUT_OPTION) or LONGEST)
    connection.exec_driver_sql(f"SET LOCAL {setting} = {int(min(bounds) * 1000)}")

"""asyncpg connections: the library's connection classes.

Imported with the first engine on PostgreSQL, because the driver is an extra.
"""

import asyncio
import secrets
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, ClassVar, Final

import asyncpg

from unitwork.unit import Unit

CLOSE_TIMEOUT_SECONDS: Final = 0.25
"""Seconds that the server has to end a connection's cancelled statement and to close the connection in order."""


class StrictCommitConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """Connection that reports a COMMIT answered by ROLLBACK, which asyncpg counts as success, and that is closed in
    bounded time even if the server doesn't answer.
    """

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - its signature
        """Close the connection as asyncpg does, after a cancelled statement has ended; drop it after
        `CLOSE_TIMEOUT_SECONDS`.
        """
        within = CLOSE_TIMEOUT_SECONDS if timeout is None else min(timeout, CLOSE_TIMEOUT_SECONDS)
        with suppress(TimeoutError):
            # In a task of its own: the timeout cancels the task it runs in, and `shield` would take that for the
            # caller's.
            await asyncio.get_running_loop().create_task(super().close(timeout=within))

    def execute(self, query: str, *args: Any, timeout: float | None = None) -> Coroutine[Any, Any, str]:
        """Execute as asyncpg does; raise its `InFailedSQLTransactionError` when COMMIT meets an aborted transaction."""
        sent: Coroutine[Any, Any, str] = super().execute(query, *args, timeout=timeout)
        return _committed(sent) if query == "COMMIT;" else sent

    def _do_execute(self, query: str, executor: Any, timeout: float | None, retry: bool = False, **options: Any) -> Any:
        """Execute without asyncpg's own retry of an outdated statement: it would hide that SQLAlchemy's result
        processors are outdated too.
        """
        return super()._do_execute(query, executor, timeout, retry=False, **options)

    def _prepare(self, query: str, *, use_cache: bool = False, **options: Any) -> Any:
        """Prepare without asyncpg's cache: a COPY would encode by the columns' former types and store the wrong
        values.
        """
        return super()._prepare(query, use_cache=False, **options)


class PoolerConnection(StrictCommitConnection):
    """Connection to a transaction pooler, which assigns each transaction any free session."""

    session_is_own: ClassVar[bool] = False


async def _committed(sent: Coroutine[Any, Any, str]) -> str:
    status = await sent
    if status == "ROLLBACK":
        msg = "COMMIT was answered ROLLBACK: an error had aborted the transaction"
        raise asyncpg.InFailedSQLTransactionError(msg)
    return status


REPORT_XID: Final = """
SELECT set_config('application_name', left(current_setting('application_name'), 20) || ' {nonce} '
|| CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_current_xact_id()::text END, true);"""
"""SQL text that reports the transaction's id: the server announces every change of `application_name`, and this one
ends with the transaction.
"""


class XidReportingConnection(StrictCommitConnection):
    """Connection with a session of its own, on which the transaction's id can be requested in the trip of its BEGIN."""

    session_is_own: ClassVar[bool] = True
    xid_requested_by: Unit | None = None
    """Unit whose BEGIN comes next, if it requests the id."""

    def execute(self, query: str, *args: Any, timeout: float | None = None) -> Coroutine[Any, Any, str]:
        unit = self.xid_requested_by
        if unit is None or not query.startswith("BEGIN"):
            return super().execute(query, *args, timeout=timeout)
        self.xid_requested_by = None
        return self._begin(unit, query, within=timeout)

    async def _begin(self, unit: Unit, query: str, *, within: float | None) -> str:
        nonce = secrets.token_hex(4)
        try:
            status = await super().execute(query + REPORT_XID.format(nonce=nonce), timeout=within)
        except asyncpg.PostgresError:
            # asyncpg keeps a transaction whose BEGIN failed: roll back, and begin without the query.
            await super().execute("ROLLBACK;")
            return await super().execute(query, timeout=within)
        # The nonce distinguishes this report from an earlier one, in case a proxy in between withholds reports.
        *_, echo, xid = self.get_settings().application_name.split(" ")
        unit.xid = int(xid) if echo == nonce and xid.isdigit() else None
        return status

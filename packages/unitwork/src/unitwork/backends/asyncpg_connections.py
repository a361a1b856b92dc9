"""asyncpg's connections, as the library opens them. Imported with the first engine on PostgreSQL, as the driver is an
extra.
"""

import asyncio
import secrets
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, ClassVar, Final

import asyncpg

from unitwork.unit import Unit

CLOSE_TIMEOUT: Final = 0.25
"""Seconds that the server has to end a connection's cancelled statement, and to say goodbye."""


class StrictCommitConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """Tells a COMMIT that was answered ROLLBACK, which asyncpg passes over as success; and is closed in bounded time,
    with a server that doesn't answer too.
    """

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - its signature
        """asyncpg's own, which then waits for a cancelled statement; breaks the connection off when it takes longer
        than `CLOSE_TIMEOUT`.
        """
        within = CLOSE_TIMEOUT if timeout is None else min(timeout, CLOSE_TIMEOUT)
        with suppress(TimeoutError):
            # A task of its own: its timeout cancels the task it runs in, and `shield` would take that for the caller's.
            await asyncio.get_running_loop().create_task(super().close(timeout=within))

    def execute(self, query: str, *args: Any, timeout: float | None = None) -> Coroutine[Any, Any, str]:
        """asyncpg's own; raises its `InFailedSQLTransactionError` when an aborted transaction was to be committed."""
        sent: Coroutine[Any, Any, str] = super().execute(query, *args, timeout=timeout)
        return _committed(sent) if query == "COMMIT;" else sent

    def _do_execute(self, query: str, executor: Any, timeout: float | None, retry: bool = False, **options: Any) -> Any:
        """asyncpg's own, which would send an outdated statement again by itself: then nobody would hear that how its
        answer is read is outdated too.
        """
        return super()._do_execute(query, executor, timeout, retry=False, **options)

    def _prepare(self, query: str, *, use_cache: bool = False, **options: Any) -> Any:
        """asyncpg's own, which for a COPY would go by what the columns' types once were, and store what that makes."""
        return super()._prepare(query, use_cache=False, **options)


class PoolerConnection(StrictCommitConnection):
    """One to a transaction pooler, which gives each transaction whatever session is free."""

    session_is_own: ClassVar[bool] = False


async def _committed(sent: Coroutine[Any, Any, str]) -> str:
    status = await sent
    if status == "ROLLBACK":
        msg = "COMMIT was answered ROLLBACK: an error had aborted the transaction"
        raise asyncpg.InFailedSQLTransactionError(msg)
    return status


TELL_XID: Final = """
SELECT set_config('application_name', left(current_setting('application_name'), 20) || ' {nonce} '
|| CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_current_xact_id()::text END, true);"""
"""The server reports every change of `application_name` by itself; this one ends with the transaction."""


class XidReportingConnection(StrictCommitConnection):
    """One of a session's own, on which the id of a transaction can be learned in the trip of its BEGIN."""

    session_is_own: ClassVar[bool] = True
    asked_by: Unit | None = None
    """Whose BEGIN comes next, if that unit wants to know."""

    def execute(self, query: str, *args: Any, timeout: float | None = None) -> Coroutine[Any, Any, str]:
        unit = self.asked_by
        if unit is None or not query.startswith("BEGIN"):
            return super().execute(query, *args, timeout=timeout)
        self.asked_by = None
        return self._begin(unit, query, within=timeout)

    async def _begin(self, unit: Unit, query: str, *, within: float | None) -> str:
        nonce = secrets.token_hex(4)
        try:
            status = await super().execute(query + TELL_XID.format(nonce=nonce), timeout=within)
        except asyncpg.PostgresError:
            # asyncpg forgets no transaction whose BEGIN failed: begin it without the question.
            await super().execute("ROLLBACK;")
            return await super().execute(query, timeout=within)
        # The nonce tells the report from an earlier one, should somebody between us and the server keep reports back.
        *_, echo, xid = self.get_settings().application_name.split(" ")
        unit.xid = int(xid) if echo == nonce and xid.isdigit() else None
        return status

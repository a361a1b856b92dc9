"""asyncpg connections: the library's connection classes.

Imported with the first engine on PostgreSQL, because the driver is an extra.
"""

import asyncio
import secrets
import weakref
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any, ClassVar, Final

import asyncpg

from unitwork.backends.commit_position import Committed, plain, reported, script, was_carried_out
from unitwork.server_identity import ServerIdentity, Xid
from unitwork.unit import Unit

CLOSE_TIMEOUT_SECONDS: Final = 0.25
"""Seconds that the server has to end a connection's cancelled statement and to close the connection in order."""


SYNC_WAIT: Final = "SyncRepWaitForLSN"
"""The server's routine that waits for its synchronous standbys. Only COMMIT's warnings name it, in every language."""


ABORTED: Final = "COMMIT was answered ROLLBACK: an error had aborted the transaction"


class SyncWaitCancelled(asyncpg.PostgresError):  # type: ignore[misc]  # as above
    """COMMIT was answered with the warning that its wait for a synchronous standby was cancelled: the server has
    committed, and a standby that is promoted may not know of it.
    """

    outcome_unknown: ClassVar[bool] = True
    """Attribute by which it is recognised without importing the driver."""


class StrictCommitConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """Connection that reports a COMMIT answered by ROLLBACK, or by the warning of a cancelled synchronous wait, both of
    which asyncpg counts as success; and that is closed in bounded time even if the server doesn't answer.
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

    def _process_log_message(self, fields: Mapping[str, str], last_query: str) -> None:
        """Make the running statement fail if this is the warning of a cancelled synchronous wait. asyncpg calls it for
        each notice, and takes what it raises for the statement's error; a statement without a notice costs nothing.
        """
        super()._process_log_message(fields, last_query)
        if fields.get("R") == SYNC_WAIT:
            self._sync_wait_cancelled()
            msg = "committed on the server asked, but the wait for its synchronous standby was cancelled"
            raise SyncWaitCancelled(msg)

    def _sync_wait_cancelled(self) -> None:
        """Note it where it outlives the connection, which the server may close after the warning."""

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
        raise asyncpg.InFailedSQLTransactionError(ABORTED)
    return status


REPORT_XID: Final = """
SELECT set_config('application_name', left(current_setting('application_name'), 20) || ' {nonce} '
|| CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_current_xact_id()::text END, true);"""
"""SQL text that reports the transaction's id: the server announces every change of `application_name`, and this one
ends with the transaction.
"""
REPORT_IDENTITY: Final = """
SELECT set_config('application_name', '{nonce} ' || CASE WHEN pg_is_in_recovery() THEN '' ELSE
pg_current_xact_id()::text || ' ' || (SELECT system_identifier FROM pg_control_system())
|| ' ' || left(pg_walfile_name(pg_current_wal_lsn()), 8) END, true);"""
"""The same with the server's identity, for a connection's first request. At most 59 of the setting's 63 bytes."""


class XidReportingConnection(StrictCommitConnection):
    """Connection with a session of its own, on which the transaction's id can be requested in the trip of its BEGIN.

    The first request also learns the server's system identifier and timeline. A primary's don't change during a
    session: it is demoted by a restart.
    """

    session_is_own: ClassVar[bool] = True
    xid_requested_by: Unit | None = None
    """Unit whose BEGIN comes next, if it requests the id."""
    server: ServerIdentity | None = None
    """Identity of the server, once it was reported."""
    refuses_request: bool = False
    """True if the server can't tell its identity, without which no id is of use."""
    incarnation: str | None = None
    """Text that tells its server from others, where that was asked."""
    committed: Committed | None = None
    """Called with the position of each COMMIT, where somebody needs it."""
    _commits = 0
    _name = ""
    _reported_to: "weakref.ref[Unit] | None" = None

    def tell_commits(self, committed: Committed) -> None:
        """Tell the position of each COMMIT from now on. Call before the first transaction."""
        self._name = plain(self.get_settings().application_name)
        self.committed = committed

    def execute(self, query: str, *args: Any, timeout: float | None = None) -> Coroutine[Any, Any, str]:
        if self.committed is not None and query == "COMMIT;":
            return self._commit(self.committed, within=timeout)
        unit = self.xid_requested_by
        if unit is None or not query.startswith("BEGIN"):
            return super().execute(query, *args, timeout=timeout)
        self.xid_requested_by = None
        if self.refuses_request:
            return super().execute(query, timeout=timeout)
        return self._begin(unit, query, within=timeout)

    async def _begin(self, unit: Unit, query: str, *, within: float | None) -> str:
        nonce = secrets.token_hex(4)
        report = REPORT_IDENTITY if self.server is None else REPORT_XID
        try:
            status = await super().execute(query + report.format(nonce=nonce), timeout=within)
        except asyncpg.PostgresError:
            # asyncpg keeps a transaction whose BEGIN failed: roll back, and begin without the query.
            self.refuses_request = self.server is None
            await super().execute("ROLLBACK;")
            return await super().execute(query, timeout=within)
        # The nonce distinguishes this report from an earlier one, in case a proxy in between withholds reports.
        _, echo, reported = self.get_settings().application_name.rpartition(nonce + " ")
        unit.xid = self._xid(reported.split(" ")) if echo else None
        self._reported_to = weakref.ref(unit)
        return status

    async def _commit(self, committed: Committed, *, within: float | None) -> str:
        position: str | None = None
        try:
            if self.server is None:
                return await super().execute("COMMIT;", timeout=within)
            self._commits += 1
            try:
                await super().execute(script(self._name, self._commits), timeout=within)
            except asyncpg.InFailedSQLTransactionError:
                await super().execute("ROLLBACK;", timeout=within)
                raise asyncpg.InFailedSQLTransactionError(ABORTED) from None
            except SyncWaitCancelled:
                raise
            except asyncpg.PostgresError as error:
                if not await was_carried_out(self, error, self._commits):
                    raise
                return "COMMIT"
            lsn = reported(self.get_settings().application_name, self._commits)
            position = f"{self.server.text} {lsn}" if lsn else lsn
            return "COMMIT"
        finally:
            if position != "":
                committed(position)

    def _xid(self, reported: list[str]) -> Xid | None:
        if len(reported) == 3:
            self.server = ServerIdentity(reported[1], int(reported[2], 16))
        if self.server is None or not reported[0].isdigit():
            return None
        return Xid(int(reported[0]), self.server)

    def _sync_wait_cancelled(self) -> None:
        unit = None if self._reported_to is None else self._reported_to()
        if unit is not None:
            unit.xid = None  # the server would say "committed", which holds for that server only

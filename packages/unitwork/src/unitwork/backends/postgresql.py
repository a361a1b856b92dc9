"""PostgreSQL through asyncpg: what a connection is opened with, and where its failures get their names."""

import asyncio
import secrets
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final, TypeGuard

import asyncpg
from sqlalchemy import Connection

from settings import DatabaseSettings
from unitwork.connections.held_connection import HeldConnection, send_own
from unitwork.unit import Unit
from unitwork.urls import postgresql_arguments as postgresql_url

CLOSE_TIMEOUT: Final = 0.25
"""Seconds that the server has to end a connection's cancelled statement, and to say goodbye."""
LONGEST: Final = 2_147_483.0
"""Seconds: PostgreSQL counts milliseconds in 32 bits."""
STATEMENT_TIMEOUT_OPTION: Final = "gatehouse_statement_timeout"
"""The execution option under which an engine says what its connections are opened with."""
BOUND_OPTION: Final = "gatehouse_bound"
"""The execution option by which an engine says, with False, that its sessions outlive the deadlines of their units."""


def connect_args(settings: DatabaseSettings) -> dict[str, Any]:
    """What the URL asks for counts before our own. A transaction pooler accepts no session settings and mixes up named
    statements: it gets neither, but for settings that the URL asks for.
    """
    arguments: dict[str, Any] = {"timeout": settings.connect_timeout, "connection_class": HonestConnection}
    asked, asked_settings = postgresql_url.arguments(settings.url)
    arguments |= asked
    if settings.pooler == "pgbouncer":
        arguments["connection_class"] = PoolersConnection
        arguments |= {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
        return arguments | ({"server_settings": asked_settings} if asked_settings else {})
    arguments["connection_class"] = TellingConnection
    server_settings = {"application_name": "gatehouse", "timezone": "UTC"}
    if settings.statement_timeout is not None and "statement_timeout" not in asked_settings.get("options", ""):
        server_settings["statement_timeout"] = str(int(settings.statement_timeout * 1000))
    return arguments | {"server_settings": server_settings | asked_settings}


class HonestConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """Tells a COMMIT that was answered ROLLBACK, which asyncpg passes over as success; and is closed in bounded time,
    with a server that doesn't answer too.
    """

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - its signature
        """asyncpg's own, which then waits for a cancelled statement; breaks the connection off when it takes longer
        than `CLOSE_TIMEOUT`.
        """
        within = CLOSE_TIMEOUT if timeout is None else min(timeout, CLOSE_TIMEOUT)
        with suppress(TimeoutError):
            # A task of its own: its timeout cancels the task it runs in, and `carry` would take that for the caller's.
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


class PoolersConnection(HonestConnection):
    """One to a transaction pooler, which gives each transaction whatever session is free."""


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


class TellingConnection(HonestConnection):
    """One of a session's own, on which the id of a transaction can be learned in the trip of its BEGIN."""

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


def has_session(driver: object) -> TypeGuard[TellingConnection]:
    """Whether a driver's connection is one of ours with a session of its own: not a caller's, and not a transaction
    pooler's. (isinstance calls all connections of asyncpg's instances of all their classes.)
    """
    return TellingConnection in type(driver).__mro__


def behind_pooler(driver: object) -> bool:
    """True for one of our connections that a transaction pooler gives other sessions."""
    return PoolersConnection in type(driver).__mro__


def learn_xid(connection: Connection, unit: Unit) -> None:
    """Have the id of the unit's transaction told with its BEGIN, which is about to be sent.

    Not on PostgreSQL before 13, nor behind a transaction pooler; nor at REPEATABLE READ, as asking takes a snapshot,
    and there a LOCK TABLE must come before it.
    """
    driver = connection.connection.driver_connection
    version = connection.dialect.server_version_info or (0,)
    if has_session(driver) and version >= (13,) and unit.isolation != "REPEATABLE READ":
        driver.asked_by = unit


def abort(connection: HeldConnection) -> None:
    """Close the connection at once, without a word to the server; whoever waits for an answer is told."""
    driver = connection.connection.driver_connection
    if driver is not None:
        driver.terminate()


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
    send_own(connection, f"SET LOCAL {setting} = {int(min(bounds) * 1000)}")

"""PostgreSQL through asyncpg: connection settings, transaction options and timeouts."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, Engine

from unitwork.backends.backend import CONNECT_ARGUMENTS, Backend, PositionQueries
from unitwork.backends.postgresql_migrations import PostgreSQLMigrations
from unitwork.errors import DriverError
from unitwork.held_connection import send_own
from unitwork.options import Options
from unitwork.server_identity import SERVER_IDENTITY
from unitwork.unit import Unit
from unitwork.urls import postgresql_arguments as postgresql_url
from unitwork.urls.database_url import places, server_address

WRITE_REFUSED: Final = "25006"
"""SQLSTATE read_only_sql_transaction."""
REPORTED: Final = ("in_hot_standby", "default_transaction_read_only")
"""Settings that the server reports by itself, each change with its next answer. A unit's own read-only transaction
changes neither.
"""
DIALER: Final = "async_creator_fn"
"""The adapter's argument that opens a connection instead of the driver."""
DEFAULT_PORT: Final = 5432
MAX_TIMEOUT_SECONDS: Final = 2_147_483.0
"""Longest timeout in seconds: PostgreSQL counts milliseconds in 32 bits."""
STATEMENT_TIMEOUT_OPTION: Final = "unitwork_statement_timeout"
"""Execution option of an engine: its connections' statement timeout in seconds."""
BOUND_OPTION: Final = "unitwork_bound"
"""Execution option of an engine: False if its sessions outlive the deadlines of their units."""


READ_ONLY: Final = "unitwork_read_only"
"""Savepoint around a read-only block."""


PRIMARY_POSITION: Final = f"""
SELECT CASE WHEN NOT pg_is_in_recovery() THEN {SERVER_IDENTITY} || ' ' || pg_current_wal_insert_lsn() END"""
REPLICA_POSITION: Final = """
SELECT CASE WHEN pg_is_in_recovery() THEN
(SELECT system_identifier::text FROM pg_control_system()) || ' ' || lpad(upper(to_hex(greatest(
    (SELECT received_tli FROM pg_stat_wal_receiver),
    (SELECT timeline_id FROM pg_control_checkpoint()),
    (SELECT min_recovery_end_timeline FROM pg_control_recovery())))), 8, '0') || ' ' || pg_last_wal_replay_lsn() END"""
"""Query of a standby's position. The timeline is that of the log it receives, which roles of pg_read_all_stats see; for
others that of its latest restart point, which may be a former one for a while: then it isn't used.
"""


def has_session(driver: object) -> bool:
    """True if a driver's connection is one of ours with a session of its own: not a caller's, and not behind a
    transaction pooler.

    Checks an attribute, because importing the class would need the driver.
    """
    return getattr(type(driver), "session_is_own", None) is True


def behind_pooler(driver: object) -> bool:
    """True if a driver's connection is one of ours behind a transaction pooler, which may change its session after each
    transaction.
    """
    return getattr(type(driver), "session_is_own", None) is False


def _reported(driver: object) -> set[str | None]:
    """Return the values of the settings that tell of a server without writes; None for one that isn't reported: on
    PostgreSQL before 14, and behind a transaction pooler, whose reports may be another session's.
    """
    if driver is None or behind_pooler(driver) or not hasattr(driver, "get_settings"):
        return {None}
    settings = driver.get_settings()
    return {getattr(settings, name, None) for name in REPORTED}


def request_xid(connection: Connection, unit: Unit) -> None:
    """Request the id of the unit's transaction with its BEGIN, which is about to be sent.

    Not on PostgreSQL before 13, nor behind a transaction pooler; nor at REPEATABLE READ, because the query takes a
    snapshot, and a LOCK TABLE must come before that.
    """
    driver: Any = connection.connection.driver_connection
    version = connection.dialect.server_version_info or (0,)
    if has_session(driver) and version >= (13,) and unit.isolation != "REPEATABLE READ":
        driver.xid_requested_by = unit


def bound(connection: Connection, deadline: float) -> None:
    """Set a server-side timeout just after the deadline, in case our own timer can't run. One trip."""
    if not connection.get_execution_options().get(BOUND_OPTION, True):
        return
    version = connection.dialect.server_version_info or (0,)
    bounds = [max(deadline - asyncio.get_running_loop().time(), 0) + 1, MAX_TIMEOUT_SECONDS]
    setting = "transaction_timeout"
    if version < (17,):
        setting = "statement_timeout"
        bounds.append(connection.get_execution_options().get(STATEMENT_TIMEOUT_OPTION) or MAX_TIMEOUT_SECONDS)
    send_own(connection, f"SET LOCAL {setting} = {int(min(bounds) * 1000)}")


def _dialer(engine: Engine) -> Any:
    """Return what opens the engine's connections; None behind a pooler, and for an engine that isn't ours."""
    return getattr(engine.dialect, CONNECT_ARGUMENTS, {}).get(DIALER)


class PostgreSQL(Backend):
    names = frozenset({"postgresql"})
    extra = "postgresql"
    definer_functions = True
    notifies = True
    copies = True
    plans_anew = True
    lock_timeout_is_set = True
    migrations = PostgreSQLMigrations()
    writable = "current_setting('transaction_read_only') = 'off'"  # on in recovery, too
    position_queries = PositionQueries(PRIMARY_POSITION, REPLICA_POSITION)
    server_facts_query = """
SELECT extract(epoch FROM clock_timestamp())::float8,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
       current_setting('is_superuser') = 'on',
       (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())
"""

    def connect_args(self, settings: Options) -> dict[str, Any]:
        """Return the driver's arguments; the URL's settings override ours.

        A transaction pooler accepts no session settings and mixes up named statements: behind one, only the URL's own
        session settings are sent, and statements are unnamed.
        """
        from unitwork.backends import asyncpg_connections as ours  # noqa: PLC0415 - its driver is an extra
        from unitwork.backends.dialing import Dialer  # noqa: PLC0415 - its driver is an extra

        arguments: dict[str, Any] = {"timeout": settings.connect_timeout}
        asked, asked_settings = postgresql_url.arguments(settings.url)
        arguments |= asked
        if settings.pooler == "pgbouncer":
            arguments["connection_class"] = ours.PoolerConnection
            arguments |= {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
            return arguments | ({"server_settings": asked_settings} if asked_settings else {})
        arguments["connection_class"] = ours.XidReportingConnection
        hosts = [(host, port or DEFAULT_PORT) for host, port in places(settings.url)]
        wanted = arguments.get("target_session_attrs")
        arguments[DIALER] = Dialer(hosts, server_address(settings.url), wanted, arguments["timeout"])
        server_settings = {"application_name": settings.application_name, "timezone": "UTC"}
        if settings.statement_timeout is not None and "statement_timeout" not in asked_settings.get("options", ""):
            server_settings["statement_timeout"] = str(int(settings.statement_timeout * 1000))
        return arguments | {"server_settings": server_settings | asked_settings}

    def when_replaced(self, arguments: dict[str, Any], call: Callable[[], object]) -> None:
        dialer = arguments.get(DIALER)
        if dialer is not None:
            dialer.replaced.append(call)

    def read_only_arguments(self, arguments: dict[str, Any]) -> None:
        if DIALER in arguments:  # a pooler takes no session settings, and hides its servers
            arguments["server_settings"]["default_transaction_read_only"] = "on"
            arguments[DIALER].one_server = True

    def when_committed(self, engine: Engine, call: Callable[[str | None], object]) -> bool:
        dialer = _dialer(engine)
        if dialer is None:
            return False
        dialer.committed = call
        return True

    def abort_all(self, engine: Engine) -> None:
        dialer = _dialer(engine)
        if dialer is not None:
            dialer.abort_all()

    def driver_options(self, *, read_only: bool, isolation: str | None, transactional: bool) -> dict[str, Any]:
        options = super().driver_options(read_only=read_only, isolation=isolation, transactional=transactional)
        return options | {"postgresql_readonly": True} if read_only else options

    def begin(self, connection: Connection, unit: Unit | None) -> None:
        """Request the transaction's id and set its timeout, if the unit needs them. The driver sends BEGIN."""
        if unit is None or not unit.transactional:
            return
        if unit.resolves_outcome and not unit.read_only:
            request_xid(connection, unit)
        if unit.deadline:
            bound(connection, unit.deadline)

    def refuse_writes(self, connection: Connection, unit: Unit) -> None:
        if unit.transactional:
            unit.read_only_frame = unit.top
            send_own(connection, f"SAVEPOINT {READ_ONLY}")
            send_own(connection, "SET LOCAL transaction_read_only = on")
        else:
            send_own(connection, "SET default_transaction_read_only = on")

    def take_writes(self, connection: Connection, unit: Unit) -> None:
        """Release the read-only savepoint. One that is or will be rolled back restores the setting by itself."""
        frame = unit.read_only_frame
        if not unit.transactional:
            send_own(connection, "SET default_transaction_read_only = off")
        elif frame is unit.top and not frame.broken and not unit.root.broken:
            send_own(connection, f"RELEASE SAVEPOINT {READ_ONLY}")  # restores the transaction's read-write state

    def takes_no_writes(self, error: DriverError, driver: Any) -> bool:
        """True for a write that was refused and wasn't refused by its own transaction's mode alone."""
        return error.sqlstate == WRITE_REFUSED and not _reported(driver).isdisjoint({"on", None})

    def reports_no_writes(self, driver: Any) -> bool:
        return "on" in _reported(driver)

    def abort(self, driver: Any) -> None:
        driver.terminate()

"""Migrations on PostgreSQL: an advisory lock of a transaction, and limits that hold for each transaction.

Both hold behind a transaction pooler, which knows no session.
"""

from typing import Any, ClassVar, Final

from sqlalchemy import Connection

from unitwork.backends.migrations import Migrations, key
from unitwork.held_connection import OWN_OPTION, send_own
from unitwork.options import MigrationOptions

DESCRIPTION: Final = """
concat('server process ', a.pid, ' (', nullif(a.application_name, '') || ', ', a.usename || ', ',
       host(a.client_addr) || ', ', a.state || ', ', 'since ',
       to_char(coalesce(a.xact_start, a.backend_start) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), ' UTC)')
"""
"""A row of `pg_stat_activity` in words, as far as our role may see it. Values of statements aren't shown."""
HOLDER: Final = f"""
SELECT {DESCRIPTION} FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (l.classid::bigint << 32 | l.objid::bigint) = %d
"""  # noqa: S608 - of constants
BLOCKERS: Final = f"""
SELECT coalesce({DESCRIPTION}, 'a prepared transaction')
FROM unnest(pg_blocking_pids(%d)) AS blocking (pid) LEFT JOIN pg_stat_activity a ON a.pid = blocking.pid
"""  # noqa: S608 - of constants


class PostgreSQLMigrations(Migrations):
    locks: ClassVar[bool] = True

    def try_lock(self, connection: Connection, name: str) -> bool:
        """Take the lock for as long as the transaction is open, which may idle longer than others may.

        It is asked for, not waited for: a statement that waits has a snapshot, and CREATE INDEX CONCURRENTLY waits for
        every older snapshot, so that the lock's holder and those who wait for it would wait for each other.
        """
        if not _scalar(connection, f"SELECT pg_try_advisory_xact_lock({_number(name)})"):
            return False
        if _version(connection) >= (17,):
            send_own(connection, "SET LOCAL transaction_timeout = 0")
        send_own(connection, "SET LOCAL idle_in_transaction_session_timeout = 0")
        _drop_snapshot(connection)
        return True

    def holder(self, connection: Connection, name: str) -> str | None:
        found = _scalar(connection, HOLDER % _number(name))
        return None if found is None else str(found)

    def begin(self, connection: Connection, options: MigrationOptions) -> int | None:
        """Set the limits of the transaction, and return its server process, so that others are asked who blocks it.

        Outside a transaction (Alembic's `autocommit_block`) they are the session's, where we have one: then there is no
        lock timeout, as CREATE INDEX CONCURRENTLY waits for every transaction, and nobody waits behind it. Nobody is
        asked either: the question has a snapshot, in the transaction that holds the lock, and CREATE INDEX CONCURRENTLY
        would wait for the end of that one, which waits for the index.
        """
        level = connection.get_execution_options().get("isolation_level")
        local = level != "AUTOCOMMIT"
        if not local and getattr(type(connection.connection.driver_connection), "session_is_own", None) is False:
            return None
        settings = {
            "lock_timeout": int(options.migration_lock_timeout * 1000) if local else 0,
            "statement_timeout": int((options.migration_statement_timeout or 0) * 1000),
            "idle_in_transaction_session_timeout": 0,
        }
        if _version(connection) >= (17,):
            settings["transaction_timeout"] = 0
        process = _set(connection, settings, local=local)
        return process if local else None

    def blockers(self, connection: Connection, process: int) -> str | None:
        _scalar(connection, "SELECT pg_stat_clear_snapshot()")  # the view is one moment's for a whole transaction
        found = _rows(connection, BLOCKERS % process)
        _drop_snapshot(connection)
        return "; ".join(sorted({str(row[0]) for row in found})) or None


def _drop_snapshot(connection: Connection) -> None:
    """Make the server forget the latest query, whose snapshot it keeps until the next statement; this needs none."""
    send_own(connection, "SET LOCAL statement_timeout = 0")


def _number(name: str) -> int:
    return int.from_bytes(key(name), signed=True)


def _version(connection: Connection) -> tuple[Any, ...]:
    return connection.dialect.server_version_info or (0,)


def _set(connection: Connection, settings: dict[str, int], *, local: bool) -> int:
    calls = ", ".join(f"set_config('{name}', '{value}', {local})" for name, value in settings.items())
    return int(_scalar(connection, f"SELECT pg_backend_pid(), {calls}"))


def _scalar(connection: Connection, statement: str) -> Any:
    rows = _rows(connection, statement)
    return rows[0][0] if rows else None


def _rows(connection: Connection, statement: str) -> list[Any]:
    return list(connection.exec_driver_sql(statement, execution_options={OWN_OPTION: True}).all())

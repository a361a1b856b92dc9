"""Migrations on MariaDB and MySQL: a lock by name, and statements on the schema that are sent again.

DDL commits there, so a migration can't be rolled back and tried again. A statement that got no lock on its table has
done nothing: it alone is sent again.
"""

import asyncio
import logging
import math
import time
from typing import Any, ClassVar, Final

from sqlalchemy import Connection
from sqlalchemy.util import await_only

from unitwork.backends.migrations import Migrations, key
from unitwork.errors import MigrationBlocked
from unitwork.held_connection import SENDER_OPTION, send_own
from unitwork.options import MigrationOptions

LOCK_WAIT_TIMEOUT: Final = 1205
"""Error number of a statement that got no lock in time."""
DDL: Final = ("ALTER", "CREATE", "DROP", "RENAME", "TRUNCATE")
PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 5.0
log = logging.getLogger("unitwork.migrations")


class Resending:
    """Sends statements; those on the schema again for as long as their table is in use, `migration_wait` at most."""

    def __init__(self, options: MigrationOptions) -> None:
        self._wait = options.migration_wait

    def send(self, cursor: Any, statement: str, parameters: Any, context: Any) -> None:
        """Send the statement instead of the dialect's `do_execute`. Raises `MigrationBlocked` in the end."""
        begun, attempts, pause = time.monotonic(), 0, PAUSE_SECONDS
        while True:
            attempts += 1
            try:
                context.dialect.do_execute(cursor, statement, parameters, context)
            except context.dialect.loaded_dbapi.Error as error:
                if _number(error) != LOCK_WAIT_TIMEOUT or not statement.lstrip().upper().startswith(DDL):
                    raise
                waited = time.monotonic() - begun
                if waited + pause > self._wait:
                    raise MigrationBlocked(waited, attempts, None, rolled_back=False) from None
            else:
                return
            log.warning("the migration waits for a table that others use; it is tried again in %.1f s", pause)
            await_only(asyncio.sleep(pause))
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


class MariaDBMigrations(Migrations):
    locks: ClassVar[bool] = True

    def try_lock(self, connection: Connection, name: str) -> bool:
        """Take the lock, which is the connection's and the server's: databases of one server have names of their own.
        Other nodes of a Galera cluster don't know it.
        """
        return bool(connection.exec_driver_sql(f"SELECT GET_LOCK('{_name(connection, name)}', 0)").scalar())

    def holder(self, connection: Connection, name: str) -> str | None:
        found = connection.exec_driver_sql(f"SELECT IS_USED_LOCK('{_name(connection, name)}')").scalar()
        return None if found is None else f"connection {found}"

    def limit(self, connection: Connection, options: MigrationOptions) -> Connection:
        send_own(connection, f"SET SESSION lock_wait_timeout = {max(math.ceil(options.migration_lock_timeout), 1)}")
        if getattr(connection.dialect, "is_mariadb", False):
            send_own(connection, f"SET SESSION max_statement_time = {options.migration_statement_timeout or 0:.3f}")
        connection.rollback()
        return connection.execution_options(**{SENDER_OPTION: Resending(options)})


def _name(connection: Connection, name: str) -> str:
    return f"unitwork-{key(f'{connection.engine.url.database}/{name}').hex()}"


def _number(error: BaseException) -> int | None:
    return error.args[0] if error.args and isinstance(error.args[0], int) else None

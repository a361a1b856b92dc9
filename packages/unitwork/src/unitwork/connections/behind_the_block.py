"""Behind the block: a transaction that a statement has begun or ended, though its text didn't show it.

A text may call a procedure that commits, or execute what a variable says (`unitwork.backends.statement_effects` sees
neither). So after a statement that is text the driver is asked, without a trip, whether a transaction is open as it
was.
"""

import re
from typing import Any, Final

from sqlalchemy import Connection

from unitwork.backends.mariadb import is_ours
from unitwork.connections.pool import look_of
from unitwork.errors import TransactionIsOurs
from unitwork.held_connection import OWN_OPTION
from unitwork.unit import Unit

_DEFINES: Final = re.compile(
    r"[\s;(]*(?:/\*.*?\*/\s*)*(?:ALTER|CREATE|DROP|GRANT|INSTALL|RENAME|REVOKE|TRUNCATE|UNINSTALL)\b",
    re.IGNORECASE | re.DOTALL,
)
"""What defines tables and rights commits on MariaDB, as is known of it."""


def open_before(unit: Unit, connection: Connection, context: Any) -> bool | None:
    """Return, of a statement that is the caller's text, whether a transaction is open before it; None of others."""
    if not context.is_text or not unit.connected or context.execution_options.get(OWN_OPTION):
        return None
    return look_of(context.dialect)(connection.connection.driver_connection)


def check_after(unit: Unit, connection: Connection, statement: str, *, was_open: bool) -> None:
    """Raise `TransactionIsOurs` where the statement has ended the unit's transaction, whose outcome is unknown then, or
    has begun one in a unit that runs without: that is rolled back.
    """
    dialect = connection.dialect
    is_open = look_of(dialect)(connection.connection.driver_connection)
    if is_open is was_open:
        return
    if unit.transactional and was_open and not (is_ours(dialect) and _DEFINES.match(statement)):
        refusal = TransactionIsOurs("commit")
        unit.ended_behind = True
        unit.failed(refusal, connection_lost=False)
        raise refusal
    if not unit.transactional and is_open:
        refusal = TransactionIsOurs("begin")
        driver: Any = connection.connection.dbapi_connection
        driver.rollback()
        raise refusal

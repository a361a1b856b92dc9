"""Behind the block: detect a transaction that a textual statement began or ended, though its text didn't show it.

A text may call a procedure that commits, or execute the value of a variable; `unitwork.backends.statement_effects`
detects neither. So the driver's transaction state, which costs no trip, is compared before and after such a statement.
"""

import re
from typing import Any, Final

from sqlalchemy import Connection

from unitwork.backends.mariadb import is_ours
from unitwork.connections.guard import look_of
from unitwork.errors import TransactionIsOurs
from unitwork.held_connection import OWN_OPTION
from unitwork.unit import Unit

_DEFINES: Final = re.compile(
    r"[\s;(]*(?:/\*.*?\*/\s*)*(?:ALTER|CREATE|DROP|GRANT|INSTALL|RENAME|REVOKE|TRUNCATE|UNINSTALL)\b",
    re.IGNORECASE | re.DOTALL,
)
"""Statements that define tables or privileges, which are documented to commit on MariaDB."""


def open_before(unit: Unit, connection: Connection, context: Any) -> bool | None:
    """Return True if a transaction is open before the caller's textual statement; None for any other statement."""
    if not context.is_text or not unit.connected or context.execution_options.get(OWN_OPTION):
        return None
    return look_of(context.dialect)(connection.connection.driver_connection)


def check_after(unit: Unit, connection: Connection, statement: str, *, was_open: bool) -> None:
    """Raise `TransactionIsOurs` if the statement ended the unit's transaction, whose outcome is then unknown, or began
    one in a unit without a transaction, which is rolled back.
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

"""Blocks that read only inside one that may write.

Flushes and DML constructs are refused before anything is sent. Textual SQL is only known to the database, so it is
asked, once, when the first textual statement comes: at most two trips, and none where there is no text.
"""

from typing import Any, Final

from sqlalchemy import CTE, CompoundSelect, Select
from sqlalchemy.orm import Session
from sqlalchemy.sql import visitors

from unitwork.backends import mariadb, sqlite
from unitwork.connections.held_connection import send_own
from unitwork.unit import Unit

SAVEPOINT: Final = "unitwork_read_only"


def writes(clause: Any) -> bool:
    """Whether a construct writes, itself or in a common table expression."""
    if getattr(clause, "is_dml", False):
        return True
    return isinstance(clause, Select | CompoundSelect | CTE) and any(
        getattr(part, "is_dml", False) for part in visitors.iterate(clause)
    )


def opaque(clause: Any) -> bool:
    """Whether only the database knows what it does: text."""
    return not isinstance(clause, Select | CompoundSelect)


def engage(session: Session, unit: Unit) -> None:
    """Have the database refuse writes until `disengage`. Where it can't be asked, only constructs are refused."""
    if unit.read_only_engaged:
        return
    unit.read_only_engaged = True
    unit.read_only_connection = connection = session.connection()
    if connection.dialect.name == "sqlite":
        sqlite.refuse_writes(connection, refuse=True)
    elif connection.dialect.name == "postgresql" and unit.transactional:
        unit.read_only_frame = unit.top
        send_own(connection, f"SAVEPOINT {SAVEPOINT}")
        send_own(connection, "SET LOCAL transaction_read_only = on")
    elif connection.dialect.name == "postgresql":
        send_own(connection, "SET default_transaction_read_only = on")
    elif mariadb.is_ours(connection.dialect) and not unit.transactional:
        send_own(connection, "SET SESSION TRANSACTION READ ONLY")


def disengage(_session: Session, unit: Unit) -> None:
    """Let the unit write again. On PostgreSQL a savepoint that is to be rolled back, or was, restores it by itself."""
    connection, frame = unit.read_only_connection, unit.read_only_frame
    unit.read_only_engaged, unit.read_only_connection, unit.read_only_frame = False, None, None
    if connection is None or connection.closed or connection.invalidated:
        return
    if connection.dialect.name == "sqlite":
        sqlite.refuse_writes(connection, refuse=False)
    elif connection.dialect.name == "postgresql" and not unit.transactional:
        send_own(connection, "SET default_transaction_read_only = off")
    elif mariadb.is_ours(connection.dialect):
        if not unit.transactional:
            send_own(connection, "SET SESSION TRANSACTION READ WRITE")
    elif frame is unit.top and not frame.broken and not unit.root.broken:
        # Releasing the savepoint restores what its transaction could do.
        send_own(connection, f"RELEASE SAVEPOINT {SAVEPOINT}")

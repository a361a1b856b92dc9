"""Blocks that read only inside one that may write.

Flushes and DML constructs are refused before anything is sent. Textual SQL is only known to the database, so it is
asked, once, when the first textual statement comes: at most two trips, and none where there is no text.
"""

from typing import Final

from sqlalchemy.orm import Session

from database import sqlite
from database.unit import Unit

SAVEPOINT: Final = "gatehouse_read_only"


def engage(session: Session, unit: Unit) -> None:
    """Have the database refuse writes until `disengage`. Where it can't be asked, only constructs are refused."""
    if unit.read_only_engaged:
        return
    unit.read_only_engaged = True
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        sqlite.refuse_writes(connection, refuse=True)
    elif connection.dialect.name == "postgresql" and unit.transactional:
        connection.exec_driver_sql(f"SAVEPOINT {SAVEPOINT}")
        connection.exec_driver_sql("SET LOCAL transaction_read_only = on")
    elif connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET default_transaction_read_only = on")


def disengage(session: Session, unit: Unit) -> None:
    """Let the unit write again. A doomed transaction is left alone: its end restores everything."""
    unit.read_only_engaged = False
    if unit.transactional and unit.root.doomed:
        return
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        sqlite.refuse_writes(connection, refuse=False)
    elif connection.dialect.name == "postgresql" and unit.transactional:
        # Releasing the savepoint restores what its transaction could do; an aborted one can only go back.
        connection.exec_driver_sql(f"{'ROLLBACK TO' if unit.top.doomed else 'RELEASE'} SAVEPOINT {SAVEPOINT}")
    elif connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET default_transaction_read_only = off")

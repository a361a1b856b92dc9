"""Read-only blocks inside a block that may write.

Flushes and DML constructs are refused before anything is sent. The effect of textual SQL is known only to the database,
so the first textual statement switches the connection to read-only: at most two trips, and none without textual SQL.
"""

from typing import Any

from sqlalchemy import CTE, CompoundSelect, Select
from sqlalchemy.orm import Session
from sqlalchemy.sql import visitors

from unitwork.backends.registry import backend_of
from unitwork.unit import Unit


def writes(clause: Any) -> bool:
    """True if a construct writes, itself or in a common table expression."""
    if getattr(clause, "is_dml", False):
        return True
    return isinstance(clause, Select | CompoundSelect | CTE) and any(
        getattr(part, "is_dml", False) for part in visitors.iterate(clause)
    )


def opaque(clause: Any) -> bool:
    """True if only the database can determine if it writes, as for textual SQL."""
    return not isinstance(clause, Select | CompoundSelect)


def engage(session: Session, unit: Unit) -> None:
    """Make the database refuse writes until `disengage`. On a database without such a setting only constructs are
    refused.
    """
    if unit.read_only_engaged:
        return
    unit.read_only_engaged = True
    unit.read_only_connection = connection = session.connection()
    backend_of(connection.dialect).refuse_writes(connection, unit)


def disengage(_session: Session, unit: Unit) -> None:
    """Allow the unit to write again."""
    connection = unit.read_only_connection
    unit.read_only_engaged, unit.read_only_connection = False, None
    if connection is not None and not connection.closed and not connection.invalidated:
        backend_of(connection.dialect).take_writes(connection, unit)
    unit.read_only_frame = None

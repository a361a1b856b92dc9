"""Blocks that read only inside one that may write.

Flushes and DML constructs are refused before anything is sent. Textual SQL is only known to the database, so it is
asked, once, when the first textual statement comes: at most two trips, and none where there is no text.
"""

from typing import Any

from sqlalchemy import CTE, CompoundSelect, Select
from sqlalchemy.orm import Session
from sqlalchemy.sql import visitors

from unitwork.backends.registry import backend_of
from unitwork.unit import Unit


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
    backend_of(connection.dialect).refuse_writes(connection, unit)


def disengage(_session: Session, unit: Unit) -> None:
    """Let the unit write again."""
    connection = unit.read_only_connection
    unit.read_only_engaged, unit.read_only_connection = False, None
    if connection is not None and not connection.closed and not connection.invalidated:
        backend_of(connection.dialect).take_writes(connection, unit)
    unit.read_only_frame = None

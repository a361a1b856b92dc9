"""Primary: leave a server that takes no writes any more.

A demoted server may keep its sessions, and answers reads from what it had. It refuses the first write (SQLSTATE 25006,
MariaDB's 1290 and others), and reports by itself what it is (`Backend.reports_no_writes`). Nothing here sends anything,
and nothing runs for a unit without such an error.
"""

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import Pool, PoolProxiedConnection

from unitwork.backends.address import in_force
from unitwork.backends.registry import backend_of
from unitwork.errors import DriverError, NotPrimary
from unitwork.unit import Unit


def leave_server(pool: Pool, connection: PoolProxiedConnection | None = None) -> None:
    """Drop every connection that is open now, without a trip: the idle ones when they would be taken next, those in use
    when they have been returned.

    `connection` gave the reason; if it was opened before the pool left a server, it gives none to leave again.
    """
    pool._invalidate(connection, _checkin=False)  # type: ignore[arg-type]  # noqa: SLF001 - SQLAlchemy's own for a lost server; it has no public name


def times_left(pool: Pool) -> float:
    """Return a number that changes whenever the pool leaves its server, or loses it."""
    return pool._invalidate_time  # noqa: SLF001 - as above


def not_primary(error: DriverError, context: ExceptionContext) -> NotPrimary | None:
    """Leave the server and return the error to raise, if `error` means that it takes no writes; else return None."""
    engine, connection = context.engine, context.connection
    usable = connection is not None and not connection.closed and not connection.invalidated
    pooled = connection.connection if connection is not None and usable else None
    driver = None if pooled is None else pooled.driver_connection
    if engine is None or not backend_of(context.dialect).takes_no_writes(error, driver):
        return None
    leave_server(engine.pool, pooled)
    return NotPrimary(error.message, in_force(engine), sqlstate=error.sqlstate)


def check_primary(unit: Unit) -> None:
    """Raise `NotPrimary` and doom a unit that may write, if its server has reported that it takes no writes. For what
    such a server grants without a write.
    """
    connection: Any = unit.connection
    if unit.refuses_writes or not isinstance(connection, Connection) or connection.closed:
        return
    pooled = connection.connection
    if not backend_of(connection.dialect).reports_no_writes(pooled.driver_connection):
        return
    leave_server(connection.engine.pool, pooled)
    error = NotPrimary("it reports so", in_force(connection.engine))
    unit.root.doom(error)
    raise error

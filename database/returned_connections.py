"""Returned connections: none goes from one unit to the next with something open on it.

What SQLAlchemy's adapter of a driver believes is not asked, but the driver: by the protocol's own word, without a trip.
"""

import logging
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from database.pool import Pool
from database.unit import OPENED_BY, Unit

log = logging.getLogger("gatehouse.database")

Look = Callable[[Any], bool]


def look_of(dialect: Any) -> Look:
    """Tells of a driver's connection whether something is open on it."""
    return _LOOKS.get(dialect.driver, _nothing)


def refuse_open_transactions(engine: AsyncEngine) -> None:
    """Drop a connection that comes back, or is about to be handed out, with a transaction or a statement open, and log
    the line of the unit that had it. Not for an isolated test's engine, whose connection is in a transaction all along.
    """
    target = engine.sync_engine
    if getattr(engine.pool, "inside_transaction", False):
        return
    is_open = look_of(target.dialect)
    if isinstance(engine.pool, Pool):
        engine.pool.is_open = is_open  # type: ignore[method-assign]  # a function that it holds

    def check_in(connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        unit: Unit | None = record.info.pop(OPENED_BY, None)
        if connection is not None and is_open(record.driver_connection):
            _drop(unit, "came back")
            record.invalidate()

    def check_out(_connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: Any) -> None:
        if is_open(record.driver_connection):
            _drop(None, "was found")
            raise DisconnectionError

    event.listen(target, "checkin", check_in)
    event.listen(target, "checkout", check_out)


def _drop(unit: Unit | None, how: str) -> None:
    opened = "by nobody that is known" if unit is None else f"at {unit.place}"
    log.warning("a connection %s with a transaction or a statement open, and is dropped; its unit was opened %s", how, opened)


def _asyncpg(driver: Any) -> bool:
    # An operation under way has no public word; asyncpg refuses a second one by the same mark.
    return not driver.is_closed() and bool(
        driver.is_in_transaction() or driver._stmt_exclusive_section._acquired  # noqa: SLF001 - see above
    )


def _aiosqlite(driver: Any) -> bool:
    try:
        return bool(driver.in_transaction)
    except ValueError:  # it is closed
        return False


def _asyncmy(driver: Any) -> bool:
    return bool(driver.connected and driver.get_transaction_status())


def _nothing(_driver: Any) -> bool:
    return False


_LOOKS: Final[dict[str, Look]] = {"asyncpg": _asyncpg, "aiosqlite": _aiosqlite, "asyncmy": _asyncmy}

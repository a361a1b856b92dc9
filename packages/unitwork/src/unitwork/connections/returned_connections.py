"""Returned connections: none goes from one unit to the next with something open on it, or set for its session.

What is open is asked of the driver, and not of SQLAlchemy's adapter: by the protocol's own word, without a trip. What
was set is told by the statements that were sent (`unitwork.backends.statement_effects`), and undone in one trip, or by
a new connection; a connection on which nothing was set pays for neither.
"""

import logging
import time
from collections.abc import Callable, MutableMapping
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import await_only
from sqlalchemy.util.concurrency import in_greenlet

from unitwork.backends.shielded_task import ShieldedTask
from unitwork.backends.statement_effects import Effect
from unitwork.backends.transaction_events import HELD
from unitwork.connections.pool import IDLE_SINCE, Pool
from unitwork.unit import OPENED_BY, Unit

log = logging.getLogger("unitwork.database")

ALTERED: Final = "unitwork_altered"
"""Under which a pooled connection knows the `Effect` of what was sent over it."""
RESET: Final = (
    "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); "
    "DISCARD SEQUENCES; DISCARD TEMP;"
)
"""PostgreSQL's DISCARD ALL, but for the statements that the driver has prepared."""
RESET_TIMEOUT: Final = 1.0
"""Seconds."""

Look = Callable[[Any], bool]


def look_of(dialect: Any) -> Look:
    """Tells of a driver's connection whether something is open on it."""
    return _LOOKS.get(dialect.driver, _nothing)


def guard_pool(engine: AsyncEngine) -> None:
    """Undo what was set on a connection that comes back. Drop one that comes back, or is about to be handed out, with a
    transaction or a statement open, and log the line of the unit that had it; but for an isolated test's, which is in a
    transaction all along.
    """
    target = engine.sync_engine
    inside = getattr(engine.pool, "inside_transaction", False)
    is_open = _nothing if inside else look_of(target.dialect)
    if isinstance(engine.pool, Pool):
        engine.pool.is_open = is_open

    # The only listener to a return: one for each purpose would cost a third of what the driver needs to end a unit.
    def check_in(connection: Any, record: ConnectionPoolEntry) -> None:
        info = record.info
        info.pop(HELD, None)
        unit: Unit | None = info.pop(OPENED_BY, None)
        effect: Effect | None = info.pop(ALTERED, None) if ALTERED in info else None
        if connection is None:
            return
        info[IDLE_SINCE] = time.monotonic()
        if is_open(connection.driver_connection):
            _drop(unit, "came back")
            record.invalidate()
        elif effect is not None and not _reset(effect, record) and not inside:
            record.invalidate()

    def check_out(_connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: Any) -> None:
        if is_open(record.driver_connection):
            _drop(None, "was found")
            raise DisconnectionError

    event.listen(target, "checkin", check_in)
    if not isinstance(engine.pool, Pool):  # ours looks where it looks whether a connection is alive
        event.listen(target, "checkout", check_out)


def note_effect(info: MutableMapping[str, Any], effect: Effect) -> None:
    """Remember at a pooled connection that a statement sets something for its session."""
    if info.get(ALTERED) is not Effect.LASTING:
        info[ALTERED] = effect


def was_ended(pooled: Any) -> bool:
    """True when the transaction that was begun on a connection is not open any more. Not known of MariaDB, where every
    statement that makes a table commits.
    """
    driver, adapter = pooled.driver_connection, pooled.dbapi_connection
    if hasattr(adapter, "_prepared_statement_cache"):  # asyncpg's, which begins with the first statement
        return adapter._transaction is not None and not driver.is_in_transaction()  # noqa: SLF001 - it has no public name
    return hasattr(type(driver), "in_transaction") and not driver.in_transaction  # aiosqlite's alone has it


def _reset(effect: Effect, record: ConnectionPoolEntry) -> bool:
    """True when nothing is left of what was set."""
    driver: Any = record.driver_connection
    if effect is not Effect.RESETTABLE or not in_greenlet() or driver.is_closed():
        return False
    try:
        await_only(ShieldedTask(driver.execute(RESET, timeout=RESET_TIMEOUT)))
    except Exception as error:  # noqa: BLE001 - whatever it is, a new connection has nothing set
        log.warning("a connection could not be reset, it is dropped: %s", type(error).__name__)
        return False
    return True


def _drop(unit: Unit | None, how: str) -> None:
    opened = "by nobody that is known" if unit is None else f"at {unit.call_site}"
    log.warning(
        "a connection %s with a transaction or a statement open, and is dropped; its unit was opened %s", how, opened
    )


def _asyncpg(driver: Any) -> bool:
    # An operation under way has no public word; asyncpg refuses a second one by the same mark.
    return (
        driver.is_in_transaction() or driver._stmt_exclusive_section._acquired > 0  # noqa: SLF001 - asyncpg's mark of an operation has no public name
    ) and not driver.is_closed()


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

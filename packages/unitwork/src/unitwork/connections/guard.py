"""Guard: no open transaction, statement or session setting passes from one unit to the next.

An open transaction or statement is detected through the driver, not SQLAlchemy's adapter, from the protocol's own state
and without a trip. Session settings are detected from the statements that were sent
(`unitwork.backends.statement_effects`) and undone in one trip, or by a new connection. A connection without such
settings costs neither.
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
from unitwork.connections.elastic import IDLE_SINCE
from unitwork.connections.pool import ALTERED, Pool
from unitwork.unit import OPENED_BY, Unit

log = logging.getLogger("unitwork.database")
RESET: Final = (
    "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); "
    "DISCARD SEQUENCES; DISCARD TEMP;"
)
"""PostgreSQL's DISCARD ALL, without dropping the driver's prepared statements."""
RESET_TIMEOUT_SECONDS: Final = 1.0
"""Seconds after which a connection that wasn't reset is dropped."""

Look = Callable[[Any], bool]


def look_of(dialect: Any) -> Look:
    """Return the driver's function that is True if a transaction or statement is open on its connection."""
    return _LOOKS.get(dialect.driver, _nothing)


def guard_pool(engine: AsyncEngine) -> None:
    """Undo session settings on a returned connection, and drop one with a transaction or a statement open.

    Checks at checkin and, where needed, at checkout; logs the line of the unit that had it. An isolated test's
    connections are exempt: they are always in a transaction.
    """
    target = engine.sync_engine
    inside = getattr(engine.pool, "inside_transaction", False)
    is_open = _nothing if inside else look_of(target.dialect)
    if isinstance(engine.pool, Pool):
        engine.pool.is_open = is_open

    # The only checkin listener: one for each purpose would add a third of the driver's own time to end a unit.
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
    if not isinstance(engine.pool, Pool):  # our pool checks it together with its ping
        event.listen(target, "checkout", check_out)


def note_effect(info: MutableMapping[str, Any], effect: Effect) -> None:
    """Remember at a pooled connection that a statement sets something for its session."""
    if info.get(ALTERED) in {None, Effect.RESETTABLE}:
        info[ALTERED] = effect


def was_ended(pooled: Any) -> bool:
    """True when the transaction begun on a connection is no longer open. Always False on MariaDB, where every DDL
    statement commits.
    """
    driver, adapter = pooled.driver_connection, pooled.dbapi_connection
    if hasattr(adapter, "_prepared_statement_cache"):  # asyncpg's adapter, which sends BEGIN with the first statement
        return adapter._transaction is not None and not driver.is_in_transaction()  # noqa: SLF001 - it has no public name
    return hasattr(type(driver), "in_transaction") and not driver.in_transaction  # only aiosqlite has this attribute


def _reset(effect: Effect, record: ConnectionPoolEntry) -> bool:
    """Reset the connection; return True if no session setting is left."""
    driver: Any = record.driver_connection
    if effect is not Effect.RESETTABLE or not in_greenlet() or driver.is_closed():
        return False
    try:
        await_only(ShieldedTask(driver.execute(RESET, timeout=RESET_TIMEOUT_SECONDS)))
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
    # asyncpg has no public test for an operation under way; it refuses a second one by the same mark.
    return (
        driver.is_in_transaction() or driver._stmt_exclusive_section._acquired > 0  # noqa: SLF001 - asyncpg's mark of an operation has no public name
    ) and not driver.is_closed()


def _aiosqlite(driver: Any) -> bool:
    try:
        return bool(driver.in_transaction)
    except ValueError:  # the connection is closed
        return False


def _asyncmy(driver: Any) -> bool:
    return bool(driver.connected and driver.get_transaction_status())


def _nothing(_driver: Any) -> bool:
    return False


_LOOKS: Final[dict[str, Look]] = {"asyncpg": _asyncpg, "aiosqlite": _aiosqlite, "asyncmy": _asyncmy}

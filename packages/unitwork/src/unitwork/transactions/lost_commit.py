"""Lost commits: what became of a transaction when the answer to its COMMIT never came.

PostgreSQL remembers the end of every recent transaction, by its id. The id comes with the BEGIN
(`unitwork.backends.asyncpg_connections`), so asking costs a trip only when an answer was lost.
"""

import asyncio
import logging
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only, greenlet_spawn

from unitwork.errors import DatabaseUnavailable
from unitwork.outcome import Outcome
from unitwork.unit import Unit

SETTLE_TIMEOUT: Final = 2.0
"""Seconds to find out, connecting included; then the outcome stays unknown."""
PAUSE: Final = 0.03
"""Seconds between two questions."""
UNDONE: Final = "the connection was lost at COMMIT, and the database says that nothing was stored"
FAILED: Final = "08006"
"""SQLSTATE connection_failure."""
_STATUS: Final = "SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_xact_status($1::text::xid8) END"
"""A replica may not have seen the COMMIT yet."""
_ENDS: Final = {"committed": Outcome.COMMITTED, "aborted": Outcome.ROLLED_BACK}

log = logging.getLogger("unitwork.database")


async def outcome(bind: object, unit: Unit) -> Outcome:
    """The unit's, asked for on a connection of its own like those of `bind`, its engine; UNKNOWN where it can't be
    found out in time.

    Takes no longer than the unit itself was given. A unit that couldn't write has stored nothing, whatever was lost.
    """
    if not unit.resolves_outcome or not isinstance(bind, AsyncEngine):
        return Outcome.UNKNOWN
    if unit.read_only:
        return Outcome.ROLLED_BACK
    seconds = SETTLE_TIMEOUT
    if unit.deadline is not None:
        seconds = min(seconds, unit.deadline + unit.grace - asyncio.get_running_loop().time())
    if unit.xid is None or seconds <= 0:
        return Outcome.UNKNOWN
    found = Outcome.UNKNOWN
    try:
        async with asyncio.timeout(seconds):
            found = await greenlet_spawn(_ask, bind, unit.xid)
    except Exception as error:  # noqa: BLE001 - whatever it is, the outcome is as unknown as before
        log.warning("the outcome of a lost COMMIT could not be found out: %s", type(error).__name__)
    else:
        log.info("the answer to a COMMIT was lost; by the database's own word it is %s", found)
    return found


def _ask(engine: AsyncEngine, xid: int) -> Outcome:
    # An empty pool like the engine's: the engine's own connections may be as dead as the one that was lost.
    pool = engine.sync_engine.pool.recreate()
    while True:
        try:
            connection = pool.connect()
        except DatabaseUnavailable:
            await_only(asyncio.sleep(PAUSE))
            continue
        driver: Any = connection.driver_connection
        try:
            return _status(driver, xid)
        finally:
            driver.terminate()
            connection.invalidate()


def _status(driver: Any, xid: int) -> Outcome:
    """Waits while the server, which may not have noticed yet, still has the transaction open."""
    while (status := await_only(driver.fetchval(_STATUS, str(xid)))) == "in progress":
        await_only(asyncio.sleep(PAUSE))
    return _ENDS.get(status, Outcome.UNKNOWN)

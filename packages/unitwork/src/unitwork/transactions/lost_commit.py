"""Lost commits: look up a transaction's outcome when the answer to its COMMIT was lost.

PostgreSQL keeps the outcome of recent transactions by id. The id comes with the BEGIN
(`unitwork.backends.asyncpg_connections`), so the lookup costs a trip only when an answer was lost. After a failover the
id names another transaction, or none: only the server that the id comes from is believed
(`unitwork.server_identity`).
"""

import asyncio
import logging
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only, greenlet_spawn

from unitwork.errors import DatabaseUnavailable, NotPrimary
from unitwork.outcome import Outcome
from unitwork.server_identity import SERVER_IDENTITY, Xid
from unitwork.unit import Unit

LOOKUP_TIMEOUT_SECONDS: Final = 2.0
"""Seconds that the lookup may take, connecting included; then the outcome stays unknown."""
POLL_INTERVAL_SECONDS: Final = 0.03
"""Seconds between two attempts to connect, and between two queries."""
UNDONE: Final = "the connection was lost at COMMIT, and the database says that nothing was stored"
FAILED: Final = "08006"
"""SQLSTATE connection_failure."""
OTHER_SERVER: Final = "other server"
_STATUS: Final = f"""
SELECT CASE WHEN pg_is_in_recovery() THEN NULL WHEN {SERVER_IDENTITY} <> $2 THEN '{OTHER_SERVER}'
ELSE pg_xact_status($1::text::xid8) END"""
"""Status query. NULL on a replica, which may not have received the COMMIT yet."""
_OUTCOMES: Final = {"committed": Outcome.COMMITTED, "aborted": Outcome.ROLLED_BACK}

log = logging.getLogger("unitwork.database")


async def outcome(bind: object, unit: Unit) -> Outcome:
    """Return the unit's outcome, queried over a new connection like those of `bind`, its engine; UNKNOWN if it can't be
    determined in time.

    Takes no longer than the unit's own deadline allows. A read-only unit has stored nothing, so it counts as rolled
    back.
    """
    if not unit.resolves_outcome or not isinstance(bind, AsyncEngine):
        return Outcome.UNKNOWN
    if unit.read_only:
        return Outcome.ROLLED_BACK
    seconds = LOOKUP_TIMEOUT_SECONDS
    if unit.deadline is not None:
        seconds = min(seconds, unit.deadline + unit.grace - asyncio.get_running_loop().time())
    if unit.xid is None or seconds <= 0:
        return Outcome.UNKNOWN
    found = Outcome.UNKNOWN
    try:
        async with asyncio.timeout(seconds):
            found = await greenlet_spawn(_query_outcome, bind, unit.xid)
    except Exception as error:  # noqa: BLE001 - whatever it is, the outcome is as unknown as before
        log.warning("the outcome of a lost COMMIT could not be found out: %s", type(error).__name__)
    else:
        log.info("the answer to a COMMIT was lost; by the database's own word it is %s", found)
    return found


def _query_outcome(engine: AsyncEngine, xid: Xid) -> Outcome:
    # A new pool like the engine's, as the engine's own connections may be dead too.
    pool = engine.sync_engine.pool.recreate()
    while True:
        try:
            connection = pool.connect()
        except (DatabaseUnavailable, NotPrimary):
            await_only(asyncio.sleep(POLL_INTERVAL_SECONDS))
            continue
        driver: Any = connection.driver_connection
        try:
            return _status(driver, xid)
        finally:
            driver.terminate()
            connection.invalidate()


def _status(driver: Any, xid: Xid) -> Outcome:
    """Return the outcome. Wait while the transaction is still open on a server that hasn't noticed the loss yet."""
    while (status := await_only(driver.fetchval(_STATUS, str(xid.number), xid.server.text))) == "in progress":
        await_only(asyncio.sleep(POLL_INTERVAL_SECONDS))
    if status == OTHER_SERVER:
        log.warning("the server that a COMMIT was sent to was replaced: no other one knows what became of it")
    return _OUTCOMES.get(status, Outcome.UNKNOWN)

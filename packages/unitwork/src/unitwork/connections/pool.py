"""Pool: SQLAlchemy's queue pool, with its timeout as a typed error and a ping only after idling."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.exc import TimeoutError as QueueTimeout
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, PoolProxiedConnection, QueuePool
from sqlalchemy.util import await_only, greenlet_spawn

from unitwork.backends.registry import backend_of
from unitwork.backends.shielded_task import ShieldedTask
from unitwork.connections.connecting import set_up_errors, unavailable
from unitwork.errors import PoolTimeout

PING_TIMEOUT: Final = 1.0
"""Seconds after which a connection that doesn't answer is taken for dead."""
OWN_CHECKIN: Final = 1
"""Listeners to a connection's return that we have ourselves: that of `unitwork.connections.returned_connections`."""
LOOK_HOLDS: Final = 0.01
"""Seconds that `ready` is trusted by the checkout which follows it in the same turn of the loop."""
IDLE_SINCE: Final = "unitwork_idle_since"
"""Under which a pool's entry knows when it was given back, by `time.monotonic()`."""

log = logging.getLogger("unitwork.database")


@dataclass
class Waits:
    """Of those who found every connection in use. Durations are seconds."""

    waiting: int = 0
    """How many do now."""
    waits: int = 0
    seconds: float = 0.0
    longest: float = 0.0
    timeouts: int = 0

    def ended(self, begun: float) -> None:
        took = time.monotonic() - begun
        self.waiting -= 1
        self.waits += 1
        self.seconds += took
        self.longest = max(self.longest, took)


class Pool(AsyncAdaptedQueuePool):
    """Raises `PoolTimeout`, naming the holders, where SQLAlchemy's own pool raises its TimeoutError; and
    `DatabaseUnavailable` for a connection that breaks between its opening and its first use.
    """

    target: str = "the database"
    """Where it is, for errors."""
    describe_holders: Callable[[], tuple[str, ...]] = staticmethod(lambda: ())
    """Who holds the connections: set by whoever knows."""

    inside_transaction: bool = False
    """Its connections are in a transaction all along, as an isolated test's is."""
    is_open: Callable[[Any], bool] = staticmethod(lambda _driver: False)
    """Whether something is open on a driver's connection: set by whoever knows."""
    looked_at: ConnectionPoolEntry | None = None
    """What `ready` has found in order."""
    looked: float = 0.0
    """When, by `time.monotonic()`: should it not be taken then, the next taker looks again."""
    checks_after_idle: float = 0.0
    """Seconds after which a connection is checked when it is taken."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.waits = Waits()

    @property
    def capacity(self) -> int:
        """How many connections there can be."""
        return self.size() + max(self._max_overflow, 0)

    def connect(self) -> PoolProxiedConnection:
        dialect: Any = self._dialect
        begun = 0.0
        if not self._pool.qsize() and self.checkedout() >= self.capacity:
            begun = time.monotonic()
            self.waits.waiting += 1
        try:
            return super().connect()
        except QueueTimeout:
            self.waits.timeouts += 1
            raise PoolTimeout(size=self.capacity, timeout=self.timeout(), holders=self.describe_holders()) from None
        except set_up_errors(dialect.loaded_dbapi) as error:
            raise unavailable(error, self.target) from None
        finally:
            if begun:
                self.waits.ended(begun)

    def ready(self) -> bool:
        """Whether the next connection is there, in order, and used a moment ago: it is taken without a wait, outside
        SQLAlchemy's greenlet too. Not where others listen: they may have something to wait for. To be asked right
        before it is taken, which then looks no second time.
        """
        if len(self.dispatch.checkout) > 1:
            return False
        queue: Any = self._pool
        entries = queue._queue._queue  # noqa: SLF001 - asyncio's inside SQLAlchemy's: no queue has a public way to look
        if not entries:
            return False
        entry: Any = entries[-1]  # the last to come is the first to go
        driver = entry.driver_connection
        if (
            self._pool.use_lifo
            and entry.dbapi_connection is not None
            and not entry._is_hard_or_soft_invalidated()  # noqa: SLF001 - it has no public name
            and (self._recycle < 0 or time.time() - entry.starttime < self._recycle)
            and time.monotonic() - entry.info.get(IDLE_SINCE, 0.0) < self.checks_after_idle
            and not has_ended(driver)
            and not self.is_open(driver)
        ):
            self.looked_at, self.looked = entry, time.monotonic()
            return True
        return False

    def keeps(self) -> bool:
        """Whether there is a place for a connection that comes back, and only ours listen: it is given back without a
        wait, outside SQLAlchemy's greenlet too.
        """
        return self.overflow() <= 0 and len(self.dispatch.checkin) <= OWN_CHECKIN and not self.dispatch.reset

    def recreate(self) -> QueuePool:
        pool = super().recreate()
        again: Any = pool  # SQLAlchemy makes another of this class
        again.target, again.checks_after_idle, again.is_open = self.target, self.checks_after_idle, self.is_open
        return pool


def has_ended(driver: Any) -> bool:
    """Whether a driver's connection has heard that it is closed."""
    told = getattr(driver, "is_closed", None)  # asyncpg's; asyncmy has no public word for it
    return bool(getattr(driver, "_stream_broken", False)) if told is None else bool(told())


def ping_after_idle(engine: AsyncEngine, idle: float) -> None:
    """Check a connection when it is taken after `idle` seconds or more unused, at one round trip, and replace a
    dead one. A connection in steady use is never checked; one whose end the driver has heard of is replaced.
    """
    dialect, pool = engine.sync_engine.dialect, engine.pool

    def check(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: Any) -> None:
        since = record.info.pop(IDLE_SINCE, None)
        driver = record.driver_connection
        if isinstance(pool, Pool):
            found, pool.looked_at = pool.looked_at, None
            if found is record and time.monotonic() - pool.looked < LOOK_HOLDS:
                return
        if has_ended(driver):
            raise DisconnectionError  # the server ended it while it idled, and the driver has heard
        if isinstance(pool, Pool) and pool.is_open(driver):
            log.warning("a connection was found in the pool with a transaction or a statement open, and is dropped")
            raise DisconnectionError
        if since is None or time.monotonic() - since < idle:
            return
        # Its connection is closed under a ping that takes too long: which then fails. A timeout around it would have to
        # cancel the task from inside the pool.
        bound = asyncio.get_running_loop().call_later(PING_TIMEOUT, backend_of(dialect).abort, driver)
        try:
            alive = await_only(ShieldedTask(greenlet_spawn(dialect.do_ping, connection)))
        except (dialect.loaded_dbapi.Error, OSError):
            alive = False
        finally:
            bound.cancel()
        if not alive:
            raise DisconnectionError

    if isinstance(pool, Pool):
        pool.checks_after_idle = idle
    event.listen(engine.sync_engine, "checkout", check)

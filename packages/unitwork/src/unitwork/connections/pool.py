"""Pool: SQLAlchemy's queue pool, with a typed timeout error, places by lane, and a ping only after idling. Its guard
against what comes back open or altered is `unitwork.connections.guard`.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.exc import TimeoutError as QueueTimeout
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, PoolProxiedConnection, QueuePool
from sqlalchemy.util import await_only, greenlet_spawn
from sqlalchemy.util.concurrency import in_greenlet

from unitwork.backends.registry import backend_of
from unitwork.backends.shielded_task import ShieldedTask
from unitwork.backends.transaction_events import HELD
from unitwork.connections.connecting import set_up_errors, unavailable
from unitwork.connections.elastic import IDLE_SINCE, Dials, IdleClosing
from unitwork.connections.places import Claim, Place, Places, claim_in_force
from unitwork.errors import Overloaded, PoolTimeout
from unitwork.unit import OPENED_BY

PING_TIMEOUT_SECONDS: Final = 1.0
"""Seconds after which a connection that doesn't answer a ping is dropped."""
OWN_CHECKIN_LISTENERS: Final = 1
"""Number of "checkin" listeners that the library itself registers (by `unitwork.connections.guard`)."""
READY_VALID_SECONDS: Final = 0.01
"""Seconds for which a checkout relies on the preceding `ready`, both being in the same turn of the event loop."""
ALTERED: Final = "unitwork_altered"
"""Key in a pooled connection's `info` that holds the `Effect` of the statements sent over it."""
PLACE: Final = "unitwork_place"
"""Key in a pool entry's `info` that holds the place of its user, if that is in a lane."""

log = logging.getLogger("unitwork.database")
T = TypeVar("T")


@dataclass
class Waits:
    """Counts of checkouts that found every connection in use. Durations are seconds."""

    waiting: int = 0
    """Number waiting now."""
    waits: int = 0
    seconds: float = 0.0
    longest: float = 0.0
    timeouts: int = 0
    refused: int = 0
    """Number refused as overload of their lane, before the pool timeout."""

    def begun(self) -> float:
        self.waiting += 1
        return time.monotonic()

    def ended(self, begun: float) -> None:
        took = time.monotonic() - begun
        self.waiting -= 1
        self.waits += 1
        self.seconds += took
        self.longest = max(self.longest, took)


class Pool(AsyncAdaptedQueuePool):
    """Queue pool that raises `PoolTimeout`, naming the holders, instead of SQLAlchemy's TimeoutError, and
    `DatabaseUnavailable` for a connection that breaks between its opening and its first use.
    """

    target: str = "the database"
    """Database address, for error messages."""
    describe_holders: Callable[[], tuple[str, ...]] = staticmethod(lambda: ())
    """Return a description of each holder of a connection; replaced by `unitwork.connections.holders`."""

    initializing: asyncio.Event | None = None
    """Set when SQLAlchemy has learnt about the server, over the first connection of any pool of the engine; None before
    and after that. Another pool's connection that is opened meanwhile would be used without what it learns.
    """
    inside_transaction: bool = False
    """True if its connections are always in a transaction, as an isolated test's are."""
    is_open: Callable[[Any], bool] = staticmethod(lambda _driver: False)
    """Return True if a transaction or statement is open on a driver's connection; replaced by `guard_pool`."""
    looked_at: ConnectionPoolEntry | None = None
    """Entry that `ready` found in order."""
    looked: float = 0.0
    """`time.monotonic()` of that check. The next checkout checks again unless it follows at once."""
    checks_after_idle: float = 0.0
    """Idle seconds after which a connection is checked at checkout."""
    floor: int = 0
    """Number of connections that are kept however long they idle."""
    idle_timeout: float = 0.0
    """Idle seconds after which a connection beyond the floor is closed; 0 if SQLAlchemy closes it on return."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.waits = Waits()
        self.places = Places(lambda: self.capacity, self.checkedout)
        self._dials = Dials()
        queue: Any = self._pool
        entries = queue._queue._queue  # noqa: SLF001 - asyncio's inside SQLAlchemy's: no queue has a public way to look
        self._idle = IdleClosing(entries, lambda: self.checkedin() + self.checkedout() - self.floor, self._dec_overflow)

    @property
    def capacity(self) -> int:
        """Maximum number of connections."""
        return self.size() + max(self._max_overflow, 0)

    def connect(self) -> PoolProxiedConnection:
        claim = claim_in_force.get()
        if claim is None or self.inside_transaction:
            return self._connect()
        place = self.places.take(claim) or self._wait(claim)
        try:
            connection = self._connect()
        except BaseException:
            place.give_back()
            raise
        connection.info[PLACE] = place
        return connection

    def _wait(self, claim: Claim) -> Place:
        return await_only(self._counted(self.places.wait(claim)))

    async def admit(self) -> None:
        """Wait for the place of the lane in force, if its next connection had to wait. Raises `Overloaded`."""
        claim = claim_in_force.get()
        if claim is not None and not self.inside_transaction and not self.places.admits(claim):
            await self._counted(self.places.reserve(claim))

    async def _counted(self, waiting: Coroutine[Any, Any, T]) -> T:
        begun = self.waits.begun()
        try:
            return await waiting
        except Overloaded:
            self.waits.refused += 1
            raise
        finally:
            self.waits.ended(begun)

    def _connect(self) -> PoolProxiedConnection:
        dialect: Any = self._dialect
        begun = 0.0
        if not self._pool.qsize() and self.checkedout() >= self.capacity:
            begun = self.waits.begun()
        try:
            connection = super().connect()
        except QueueTimeout:
            self.waits.timeouts += 1
            raise PoolTimeout(size=self.capacity, timeout=self.timeout(), holders=self.describe_holders()) from None
        except set_up_errors(dialect.loaded_dbapi) as error:
            raise unavailable(error, self.target) from None
        else:
            if self.initializing is not None:
                await_only(self.initializing.wait())
            return connection
        finally:
            if begun:
                self.waits.ended(begun)

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        place: Place | None = record.info.pop(PLACE, None)
        try:
            super()._do_return_conn(record)
        finally:
            if place is not None:
                place.give_back()
            elif self.places.waiting:
                self.places.serve()
            self._dials.wake()
            if self.idle_timeout:
                self._idle.returned(self.idle_timeout)

    def _create_connection(self) -> ConnectionPoolEntry:
        """Open one more connection; return one that came back meanwhile instead, if it has to wait for its turn."""
        if self._dials.busy and in_greenlet():
            await_only(self._dials.turn(lambda: self._pool.qsize() > 0))
            if self._pool.qsize():
                entry = self._pool.get(block=False)
                self._dec_overflow()  # it was counted for the one to be opened
                return entry
        with self._dials.dialling():
            return super()._create_connection()

    def dispose(self) -> None:
        self._idle.stop()
        super().dispose()

    def ready(self) -> bool:
        """Return True if the next connection is open, in order and recently used, so that it can be taken without
        waiting, outside SQLAlchemy's greenlet too.

        Always False if others listen to checkouts, since a listener may need to wait. Call it right before the
        checkout, which then skips its own check.
        """
        if len(self.dispatch.checkout) > 1:
            return False
        claim = claim_in_force.get()
        if claim is not None and not self.places.admits(claim):
            return False
        queue: Any = self._pool
        entries = queue._queue._queue  # noqa: SLF001 - asyncio's inside SQLAlchemy's: no queue has a public way to look
        if not entries:
            return False
        entry: Any = entries[-1]  # the pool is LIFO: the next one taken
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

    def take_ready(self) -> Any:
        """Take the next connection's entry without SQLAlchemy's proxy; None if the next connection isn't `ready`, or
        SQLAlchemy's log of the pool is on. To be given to a `DirectCheckout`.
        """
        if self.inside_transaction or not self.ready() or self._should_log_debug():
            return None
        self.looked_at = None
        claim = claim_in_force.get()
        place = None if claim is None else self.places.take(claim)
        entry: Any = self._pool.get(block=False)
        if place is not None:
            entry.info[PLACE] = place
        return entry

    def give_back_ready(self, entry: Any) -> bool:
        """Return an entry that `take_ready` gave; False, and nothing done, if it isn't in order or others listen."""
        info, connection = entry.info, entry.dbapi_connection
        if (
            connection is None
            or ALTERED in info
            or entry.finalize_callback
            or not self.keeps()
            or self.is_open(connection.driver_connection)
        ):
            return False
        info.pop(HELD, None)
        info.pop(OPENED_BY, None)
        info[IDLE_SINCE] = time.monotonic()
        self._do_return_conn(entry)
        return True

    def keeps(self) -> bool:
        """Return True if a returned connection will be kept and only our own listener runs, so that it can be returned
        without waiting, outside SQLAlchemy's greenlet too.
        """
        return self.overflow() <= 0 and len(self.dispatch.checkin) <= OWN_CHECKIN_LISTENERS and not self.dispatch.reset

    def recreate(self) -> QueuePool:
        self._idle.stop()
        pool = super().recreate()
        again: Any = pool  # SQLAlchemy creates an instance of this class
        again.target, again.checks_after_idle, again.is_open = self.target, self.checks_after_idle, self.is_open
        again.floor, again.idle_timeout = self.floor, self.idle_timeout
        return pool


def share_initialization(engine: AsyncEngine) -> None:
    """Let connections that are opened while SQLAlchemy inspects the server over another pool's first one wait for that.
    SQLAlchemy does it once for all copies of a pool, and lets the others pass.
    """
    pool, dialect = engine.pool, engine.sync_engine.dialect
    if not isinstance(pool, Pool):
        return
    initialize = dialect.initialize

    def shared(connection: Any) -> None:
        pool.initializing = asyncio.Event()
        try:
            initialize(connection)
        finally:
            pool.initializing.set()
            pool.initializing = None

    setattr(dialect, "initialize", shared)  # noqa: B010 - mypy takes an assignment for one of a method's type


def has_ended(driver: Any) -> bool:
    """Return True if the driver has noticed that its connection is closed."""
    is_closed = getattr(driver, "is_closed", None)  # asyncpg's; asyncmy has no public equivalent
    return bool(getattr(driver, "_stream_broken", False)) if is_closed is None else bool(is_closed())


def ping_after_idle(engine: AsyncEngine, idle: float) -> None:
    """Check a connection at checkout after `idle` seconds or more unused, at one round trip, and replace a dead one.

    A connection in steady use is never pinged; one that the driver has noticed to be closed is replaced.
    """
    dialect, pool = engine.sync_engine.dialect, engine.pool

    def check(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: Any) -> None:
        since = record.info.pop(IDLE_SINCE, None)
        driver = record.driver_connection
        if isinstance(pool, Pool):
            found, pool.looked_at = pool.looked_at, None
            if found is record and time.monotonic() - pool.looked < READY_VALID_SECONDS:
                return
        if has_ended(driver):
            raise DisconnectionError  # the server closed it while it idled, and the driver noticed
        if isinstance(pool, Pool) and pool.is_open(driver):
            log.warning("a connection was found in the pool with a transaction or a statement open, and is dropped")
            raise DisconnectionError
        if since is None or time.monotonic() - since < idle:
            return
        # A ping that takes too long fails because its connection is closed. A timeout around it would have to cancel
        # the task from inside the pool.
        bound = asyncio.get_running_loop().call_later(PING_TIMEOUT_SECONDS, backend_of(dialect).abort, driver)
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

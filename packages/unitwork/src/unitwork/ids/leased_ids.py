"""LeasedIds: a container's id generator, on a node leased from the database.

The lease is taken before the first unit that may write, renewed by a timer, and released when the container closes. It
expires by whichever clock is earlier: the monotonic one, which can't be set, or the wall clock, which goes on while the
machine sleeps.
"""

import asyncio
import logging
import os
import random
import secrets
import time
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import Pool

from unitwork.backends.address import address
from unitwork.backends.backend import CONNECT_ARGUMENTS
from unitwork.backends.registry import backend_of
from unitwork.connections.lifetime import Lifetime
from unitwork.errors import (
    CommitOutcomeUnknown,
    ConnectionLost,
    DatabaseError,
    DatabaseUnavailable,
    DriverError,
    NodeLeaseLost,
    NodesExhausted,
    NotPrimary,
    SchemaOutdated,
    UniqueViolation,
)
from unitwork.ids import node_leases
from unitwork.ids.node_leases import NODES, Taken
from unitwork.ids.snowflake import Snowflake
from unitwork.models.base import any_snowflake_id
from unitwork.sessions.session_factory import Begin

LEASE_OPTION: Final = "unitwork_node_lease"
"""The execution option that an engine sets to False if its database can't store leases."""
READ_ONLY: Final = "25006"
"""SQLSTATE of a write in a read-only transaction."""
TTL: Final = 600.0
"""Duration of a lease, in seconds. It exceeds the interval of renewals by far, as a long transaction may occupy the
only connection of a pool.
"""
RENEW_EVERY: Final = 30.0
RETRY_AFTER: Final = 5.0
"""Seconds to wait after a failed renewal before the next try."""
MARGIN: Final = 0.9
"""Fraction of a lease's duration in which ids are made; the rest allows for latency and clock drift."""
WAIT: Final = 5.0
"""Seconds to wait for a free node."""
RELEASE_WITHIN: Final = 0.3
"""Timeout of a release, in seconds; a lease that isn't released expires."""

log = logging.getLogger("unitwork.database")


@dataclass(frozen=True)
class Lease:
    """A granted lease: its end by both clocks, and the process that holds it."""

    taken: Taken
    valid_until: float
    reserved_until: int
    process: int


class LeasedIds:
    """Generates ids that are unique across processes and rise within this one.

    `clock` returns milliseconds since 1970; `monotonic` returns and `sleep` takes seconds; tests replace them. A
    configured `node_id` needs no lease: its uniqueness is the operator's responsibility.
    """

    def __init__(
        self,
        node_id: int | None,
        lifetime: Lifetime,
        *,
        ttl: float = TTL,
        renew_every: float = RENEW_EVERY,
        wait: float = WAIT,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._lifetime = lifetime
        self._ttl, self._renew_every, self._wait = ttl, renew_every, wait
        self._clock, self._monotonic = clock, monotonic
        self._leases = node_id is None
        self._ids = Snowflake(0, clock=clock, sleep=sleep) if node_id is None else Snowflake.of_node(node_id)
        self._lease: Lease | None = None
        self._engine: AsyncEngine | None = None
        self._pool: Pool | None = None
        self._taking = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._lost = "none was leased yet; ids are made in a transaction that may write"
        self._next_try = 0.0

    @property
    def ready(self) -> bool:
        """True if ids can be made without a query."""
        return not self._leases or (self._lease is not None and self._over(self._lease) is None)

    @property
    def node_id(self) -> int:
        """The node of the next id. Raises `NodeLeaseLost`."""
        self._check()
        return self._ids.node_id

    def next_id(self) -> int:
        """Return the next id, above every earlier one. Raises `NodeLeaseLost` and `ClockWentBack`."""
        self._check()
        return self._ids.next_id()

    def next_ids(self, count: int) -> list[int]:
        """Return `count` rising ids. Raises as `next_id` does."""
        self._check()
        return self._ids.next_ids(count)

    def draw(self) -> None:
        """Switch to a random node without a lease, for a database that doesn't persist anything."""
        if self._leases:
            self._leases = False
            self._ids.move(secrets.randbelow(NODES), used_until=0)

    async def lease(self, engine: AsyncEngine, begin: Begin) -> None:
        """Take a lease, if there is none, before a unit that may write begins. Concurrent callers await the same
        attempt.

        If the database has no table for leases, the unit begins nevertheless, and generating an id raises
        `NodeLeaseLost`. Raises `NodesExhausted`, and what a transaction that can't be begun raises.
        """
        if not any_snowflake_id():
            return  # no ids can be made, and there may be no table of leases
        if not engine.sync_engine.get_execution_options().get(LEASE_OPTION, True):
            self.draw()
        async with self._taking:
            if self.ready or self._monotonic() < self._next_try:
                return
            try:
                await self._take(engine, begin)
            except (DriverError, NotPrimary) as error:
                if isinstance(error, NotPrimary) and self._engine is not None:
                    raise  # it took leases before: another server does now, or soon will
                if not isinstance(error, SchemaOutdated) and error.sqlstate not in {READ_ONLY, "SQLITE_READONLY"}:
                    raise
                self._lost = f"the database takes no lease ({error})"
                self._next_try = self._monotonic() + RETRY_AFTER
                return
            if self._engine is None:
                self._lifetime.on_close(self._close)
            if self._engine is not engine:
                arguments = getattr(engine.sync_engine.dialect, CONNECT_ARGUMENTS, {})
                backend_of(engine.dialect).when_replaced(arguments, self._void)
            self._engine, self._pool = engine, engine.pool
            self._plan(self._renew_every)

    async def _take(self, engine: AsyncEngine, begin: Begin) -> None:
        until = self._monotonic() + self._wait
        while True:
            asked, now = self._monotonic(), self._clock()
            taken: Taken | None = None
            try:
                async with begin("node lease") as transaction:
                    taken = await node_leases.take(
                        transaction.session, now=now, ttl=round(self._ttl * 1000), reserve=self._reserve(now)
                    )
            except UniqueViolation:
                taken = None  # another process took the same unused node
            except (CommitOutcomeUnknown, ConnectionLost):
                # A lease that may have been stored expires by itself. The unit that waits for it has not begun.
                taken = None
                if self._monotonic() >= until:
                    raise DatabaseUnavailable("its connections break", address(engine.url)) from None
            if taken is not None:
                self._ids.move(taken.node_id, used_until=taken.used_until)
                self._lease = self._granted(taken, asked, now)
                return
            if self._monotonic() >= until:
                raise NodesExhausted(NODES, self._wait)
            await asyncio.sleep(random.uniform(0.01, 0.1))  # noqa: S311 - no secret

    def _void(self) -> None:
        """Give the lease up: another server is the primary, which may not know of it and lease the node to another."""
        if self._lease is not None:
            self._lease, self._lost = None, "another server is the primary now, which may not know of its lease"

    def _granted(self, taken: Taken, asked: float, now: int) -> Lease:
        """Return the lease, starting from when it was requested, as the database may have answered late."""
        return Lease(taken, asked + self._ttl * MARGIN, now + round(self._ttl * MARGIN * 1000), os.getpid())

    def _reserve(self, now: int) -> int:
        return now + round(self._ttl * 1000)

    def _check(self) -> None:
        if not self._leases:
            return
        reason = self._lost if self._lease is None else self._over(self._lease)
        if reason is not None:
            raise NodeLeaseLost(reason)

    def _over(self, lease: Lease) -> str | None:
        """Return the reason why no id can be made under this lease; None if one can."""
        if lease.process != os.getpid():
            return "it is the parent process's; a forked child needs a container of its own"
        if self._monotonic() >= lease.valid_until or self._clock() >= lease.reserved_until:
            return "its lease is overdue, and another process may have it"
        return None

    def _plan(self, pause: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(pause, self._begin_renewal, context=Context())

    def _begin_renewal(self) -> None:
        self._renewal = asyncio.get_running_loop().create_task(
            self._renew(), name="node lease renewal", context=Context()
        )

    async def _renew(self) -> None:
        lease, engine = self._lease, self._engine
        if lease is None or engine is None or lease.process != os.getpid():
            return
        if self._disposed(engine):
            self._lease, self._lost = None, "the engine it was leased through was disposed of"
            return
        asked, now, pause = self._monotonic(), self._clock(), self._renew_every
        try:
            async with asyncio.timeout(self._renew_every), engine.begin() as connection:
                kept = await node_leases.renew(
                    connection, lease.taken, ttl=round(self._ttl * 1000), reserve=self._reserve(now)
                )
        except (SQLAlchemyError, DatabaseError, OSError, TimeoutError) as error:
            log.warning("the node's lease could not be renewed: %s", type(error).__name__)
            pause = min(RETRY_AFTER, self._renew_every)
        else:
            if self._lease is not lease:
                return  # replaced meanwhile; its own timer runs
            self._lease = self._granted(lease.taken, asked, now) if kept else None
            if not kept:
                self._lost = "its lease ran out, and another process took it"
                log.warning("the node's lease was lost: another process has node %d", lease.taken.node_id)
                return  # the next unit that may write takes another lease and starts a new timer
        self._plan(pause)

    def _disposed(self, engine: AsyncEngine) -> bool:
        """True if the engine was disposed of: nobody would close a new connection. The lease expires by itself."""
        return engine.pool is not self._pool

    async def _close(self) -> None:
        """Release the node. A forked child doesn't: the lease is its parent's."""
        lease, engine = self._lease, self._engine
        self._lease, self._lost = None, "the container is closed"
        if self._timer is not None:
            self._timer.cancel()
        if lease is None or engine is None or lease.process != os.getpid() or self._disposed(engine):
            return
        if self._renewal is not None and not self._renewal.done():
            self._renewal.cancel()
            await asyncio.wait((self._renewal,), timeout=RELEASE_WITHIN)
        try:
            async with asyncio.timeout(RELEASE_WITHIN), engine.begin() as connection:
                await node_leases.release(connection, lease.taken, used_until=self._ids.used_until)
        except (SQLAlchemyError, DatabaseError, OSError, TimeoutError) as error:
            log.debug("the node's lease runs out by itself, giving it back failed: %s", type(error).__name__)

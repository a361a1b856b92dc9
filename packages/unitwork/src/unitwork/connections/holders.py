"""Holders: the units that hold a connection of the pool, and those of them that wait for a second one; and WriterTurn,
the queue for SQLite's single writer.
"""

import asyncio
import time
from collections.abc import Iterable
from contextvars import Context
from typing import Final

from sqlalchemy.pool import Pool as AnyPool
from sqlalchemy.pool import QueuePool
from sqlalchemy.util import await_only

from unitwork.backends.interruption import interrupt_ending
from unitwork.connections.pool import Pool
from unitwork.errors import LockNotAvailable, PoolDeadlock
from unitwork.unit import Unit


class WriterTurn:
    """Fair lock for SQLite's single writer, held by a unit from its first write until it ends. `timeout` is seconds.

    SQLite itself makes waiting writers poll: some starve, and all hold a connection meanwhile. Units of one container
    queue here instead, before they take a connection; between processes the busy timeout still applies.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._lock = asyncio.Lock()
        self._owner: Unit | None = None

    async def take(self, unit: Unit) -> None:
        """Acquire the turn unless the unit already has it. Raises `LockNotAvailable` after the timeout."""
        if self._owner is unit:
            return
        try:
            async with asyncio.timeout(self._timeout):
                await self._lock.acquire()
        except TimeoutError:
            holder = "another unit" if self._owner is None else self._owner.call_site
            msg = f"SQLite's one writer was not free within {self._timeout:g} s; the unit opened at {holder} has it"
            raise LockNotAvailable(msg) from None
        self._owner = unit

    def give_back(self, unit: Unit) -> None:
        """Release the turn if the unit has it."""
        if self._owner is unit:
            self._owner = None
            self._lock.release()


WATCH_INTERVAL_SECONDS: Final = 1.0
"""Seconds between two checks of the running statements."""


class Holders:
    """Registry of the units that hold one engine's connections. Detects units that deadlock waiting for each other's
    connections before the pool timeout does.
    """

    def __init__(self, pool: AnyPool, writer_turn: WriterTurn | None, statement_timeout: float | None) -> None:
        self._pool = pool
        self._writer_turn = writer_turn
        self._statement_timeout = statement_timeout
        self._watching = False
        self._holding: set[Unit] = set()
        self._waiting: set[Unit] = set()
        if isinstance(pool, Pool):
            pool.describe_holders = self.describe

    def before_connection(self, unit: Unit) -> None:
        """Wait for SQLite's writer turn, if there is one. Raises `PoolDeadlock` when no connection can become free
        before this unit gets one.
        """
        if self._writer_turn is not None and unit.transactional and not unit.read_only:
            await_only(self._writer_turn.take(unit))
        capacity = self._capacity()
        if unit.parent is None or capacity is None:
            return
        ancestors = _ancestors(unit) & self._holding
        self._waiting |= ancestors
        if len(self._waiting) >= capacity:
            self._waiting -= ancestors
            raise PoolDeadlock(outer=unit.parent.call_site, inner=unit.call_site, size=capacity)

    def connected(self, unit: Unit) -> None:
        self._holding.add(unit)
        if not self._watching and self._statement_timeout is not None:
            self._watching = True
            asyncio.get_running_loop().call_later(WATCH_INTERVAL_SECONDS, self._watch, context=Context())
        if self._waiting:
            self._waiting -= _ancestors(unit)

    def released(self, unit: Unit) -> None:
        self._holding.discard(unit)
        if self._writer_turn is not None:
            self._writer_turn.give_back(unit)
        if self._waiting:
            self._waiting -= _ancestors(unit)

    def _capacity(self) -> int | None:
        """Return the pool's capacity if every connection is in use; None if one is free or the pool is unbounded."""
        pool = self._pool
        if not isinstance(pool, QueuePool) or pool._max_overflow < 0:  # noqa: SLF001 - it has no public name
            return None
        capacity = pool.size() + pool._max_overflow  # noqa: SLF001 - as above
        return capacity if pool.checkedout() >= capacity else None

    def _watch(self) -> None:
        """Interrupt statements that the server should have ended by `statement_timeout`: it no longer answers.

        One timer serves all units: one per statement would cost more than all other guards.
        """
        if not self._holding or self._statement_timeout is None:
            self._watching = False
            return
        begun_before = time.monotonic() - self._statement_timeout - WATCH_INTERVAL_SECONDS
        for unit in self._holding:
            if 0 < unit.executing < begun_before:
                interrupt_ending(unit)
        asyncio.get_running_loop().call_later(WATCH_INTERVAL_SECONDS, self._watch, context=Context())

    def describe(self) -> tuple[str, ...]:
        """Return one text per holder, longest first: its name, for how long, the line that opened it."""
        return description(self._holding)


def description(units: Iterable[Unit]) -> tuple[str, ...]:
    """Return one text per unit, longest first: its name, for how long, the line that opened it."""
    now = time.monotonic()
    oldest = sorted(units, key=lambda unit: unit.since)
    return tuple(f"{unit.name or 'a unit'} for {now - unit.since:.1f} s, {unit.call_site}" for unit in oldest)


def _ancestors(unit: Unit) -> set[Unit]:
    """Return the enclosing units in its task: they wait while it waits."""
    found = set()
    around = unit.parent
    while around is not None:
        found.add(around)
        around = around.parent
    return found

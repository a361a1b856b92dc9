"""MigrationRun: one migration at a time, on a connection of its own, without a queue behind it.

Two connections besides the pool: one holds the lock against other migrations, the other one migrates.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.util import greenlet_spawn

from unitwork.backends.registry import backend_of
from unitwork.errors import DatabaseError, DeadlockDetected, LockNotAvailable, MigrationBlocked, UpgradeInProgress
from unitwork.options import MigrationOptions

T = TypeVar("T")

ASK_INTERVAL_SECONDS: Final = 0.25
"""Seconds between two attempts to get the lock against other migrations."""
PAUSE_SECONDS: Final = 1.0
"""Seconds after the first attempt that got no lock on a table; doubled after each further one."""
LONGEST_PAUSE_SECONDS: Final = 5.0
log = logging.getLogger("unitwork.migrations")
_turns: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]] = WeakKeyDictionary()
"""Locks of event loops: Alembic's `op` and `context` are global, so that two migrations of one process would mix, of
different databases too.
"""


class MigrationRun:
    """Runs migrations on one engine's database.

    `run(step)` calls `step` with a connection that is in no transaction, so that Alembic begins its own, and may leave
    it for statements that can't be in one (`autocommit_block`). If a table's lock isn't free within
    `migration_lock_timeout` the transaction is rolled back, and `step` called again after a pause: a request for an
    exclusive lock stops everybody who comes after it.
    """

    def __init__(self, engine: AsyncEngine, options: MigrationOptions) -> None:
        self._engine = engine
        self._options = options
        self._database = backend_of(engine.dialect).migrations

    async def run(self, step: Callable[[Connection], T]) -> T:
        """Run the step while no other migration runs; return its result.

        Raises `UpgradeInProgress` if another one is still running after `migration_wait` seconds, and
        `MigrationBlocked` if others use a table for that long. Then nothing is stored, unless DDL commits in this
        database.
        """
        if not self._database.locks:
            return await self._attempts(step, None)
        async with _own_connection(self._engine) as lock:
            await self._take(lock)
            return await self._attempts(step, lock)

    async def _take(self, lock: AsyncConnection) -> None:
        name, begun, told = self._options.version_table, time.monotonic(), False
        while not await lock.run_sync(self._database.try_lock, name):
            waited = time.monotonic() - begun
            if waited > self._options.migration_wait:
                raise UpgradeInProgress(waited, await lock.run_sync(self._database.holder, name))
            if not told:
                log.info("another upgrade of this database is running; waiting for it")
                told = True
            await lock.rollback()
            await asyncio.sleep(ASK_INTERVAL_SECONDS)

    async def _attempts(self, step: Callable[[Connection], T], lock: AsyncConnection | None) -> T:
        begun, attempts, pause = time.monotonic(), 0, PAUSE_SECONDS
        async with _own_connection(self._engine) as connection:
            await connection.run_sync(self._database.limit, self._options)
            while True:
                attempts += 1
                blockers = _Blockers(self._database.blockers, lock, self._options.migration_lock_timeout / 2)
                try:
                    return await self._attempt(step, connection, blockers)
                except (LockNotAvailable, DeadlockDetected) as error:
                    if connection.in_transaction():
                        await connection.rollback()
                    waited = time.monotonic() - begun
                    if waited + pause > self._options.migration_wait:
                        raise MigrationBlocked(waited, attempts, blockers.found, rolled_back=True) from error
                    who = f" by {blockers.found}" if blockers.found else ""
                    log.warning("a table is in use%s: the migration is tried again in %.1f s", who, pause)
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _attempt(self, step: Callable[[Connection], T], connection: AsyncConnection, blockers: "_Blockers") -> T:
        def limited(sync: Connection) -> T:
            event.listen(sync, "begin", begun)
            try:
                return step(sync)
            finally:
                event.remove(sync, "begin", begun)

        def begun(sync: Connection) -> None:
            blockers.process = self._database.begin(sync, self._options)

        turn = _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        async with turn, blockers.watched():
            result = await connection.run_sync(limited)
            if connection.in_transaction():  # begun by the step outside Alembic's own transaction
                await connection.commit()
            return result


class _Blockers:
    """Sees who blocks a migrating server process, over the connection that holds the lock."""

    def __init__(
        self, ask: Callable[[Connection, int], str | None], lock: AsyncConnection | None, interval: float
    ) -> None:
        self._ask = ask
        self._lock = lock
        self._interval = interval
        self._ended = asyncio.Event()
        self.process: int | None = None
        """The migrating server process, once its transaction has begun."""
        self.found: str | None = None
        """Those seen last, in words."""

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        # It is told to end, not cancelled: that would close the connection, and with it give up the lock.
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            self._ended.set()
            await watching

    async def _watch(self) -> None:
        while self._lock is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._ended.wait()
                return
            if self.process is not None:
                with suppress(DatabaseError):  # a report less; what is wrong, the migration finds out itself
                    self.found = await self._lock.run_sync(self._ask, self.process) or self.found


@asynccontextmanager
async def _own_connection(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a connection of the engine's kind besides its pool, which may have a single one."""
    pool = engine.sync_engine.pool.recreate()
    try:
        pooled = await greenlet_spawn(pool.connect)
        connection = AsyncConnection(engine, Connection(engine.sync_engine, pooled))
        try:
            yield connection
        finally:
            await asyncio.shield(asyncio.ensure_future(connection.close()))
    finally:
        await asyncio.shield(asyncio.ensure_future(greenlet_spawn(pool.dispose)))

"""Pools: connections in use, their maximum, and the units that wait for one."""

from dataclasses import dataclass
from weakref import WeakSet

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from unitwork.connections.pool import Pool


@dataclass
class PoolState:
    """The state of all engines of a container together. Durations are in seconds."""

    capacity: int = 0
    open: int = 0
    in_use: int = 0
    waiting: int = 0
    waits: int = 0
    """Number of times a unit has waited for a connection since the monitor began."""
    waited: float = 0.0
    longest_wait: float = 0.0
    timeouts: int = 0
    refused: int = 0
    """Number of units refused as overload of their lane."""


class Pools:
    """Pools of one monitor."""

    def __init__(self) -> None:
        self._engines: WeakSet[AsyncEngine] = WeakSet()

    def add(self, engine: AsyncEngine) -> None:
        self._engines.add(engine)

    def state(self) -> PoolState:
        """Return the current state."""
        state = PoolState()
        for engine in self._engines:
            pool = engine.sync_engine.pool
            if isinstance(pool, QueuePool):
                state.open += pool.checkedin() + pool.checkedout()
                state.in_use += pool.checkedout()
            if isinstance(pool, Pool):
                waits = pool.waits
                state.capacity += pool.capacity
                state.waiting += waits.waiting
                state.waits += waits.waits
                state.waited += waits.seconds
                state.longest_wait = max(state.longest_wait, waits.longest)
                state.timeouts += waits.timeouts
                state.refused += waits.refused
        return state

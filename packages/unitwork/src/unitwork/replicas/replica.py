"""Replica: one standby, its pool, and whether reads may use it now."""

import logging
import math
import time
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.backends.address import in_force
from unitwork.backends.registry import backend_of
from unitwork.connections.pool import Pool
from unitwork.connections.primary import leave_server
from unitwork.errors import (
    ConnectionLost,
    DatabaseUnavailable,
    DriverError,
    SchemaOutdated,
    SerializationFailure,
    Unavailable,
)
from unitwork.replicas.position import Position
from unitwork.replicas.primary_log import PrimaryLog
from unitwork.server_identity import ServerIdentity

NOT_ASKED: Final = "it was not asked yet"
NOT_ON_STANDBYS: Final = frozenset({"25006", "55000", "0A000"})
"""SQLSTATEs of what a standby refuses and a primary may not: a write, what needs a primary, serializable reads."""

log = logging.getLogger("unitwork.database")


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """The state of one replica, for people and metrics. Durations are seconds."""

    address: str
    """Its address without credentials."""
    used: bool
    reason: str | None
    """Reason why it isn't used."""
    lag: float | None
    """Age of the state that it is known to have replayed completely; None if nothing is known."""
    reads: int
    """Number of reads that it has served."""


class Replica:
    """A standby that reads may use while it is watched, follows the primary's history, and doesn't lag."""

    def __init__(self, engine: AsyncEngine, max_lag: float) -> None:
        self.engine: Final = engine
        self.address: Final = in_force(engine.sync_engine)
        self._max_lag = max_lag
        self.out: str | None = NOT_ASKED
        """Reason why it isn't used, besides its lag."""
        self.position: Position | None = None
        self.fresh_at = -math.inf
        self.replay_delay = math.inf
        self.round_trip = 0.0
        """Seconds that its latest answer took."""
        self.reads = 0

    def usable(self, now: float, max_age: float, wanted: Position | None) -> bool:
        """True if it may serve a read whose state is at most so old, and has `wanted`."""
        if self.out is not None or now - self.fresh_at > max_age or not self._free():
            return False
        return wanted is None or (self.position is not None and self.position.covers(wanted))

    def load(self) -> float:
        """Return a number to compare replicas by: the work it has from here, by how slowly it answers."""
        pool: Any = self.engine.sync_engine.pool
        return (int(pool.checkedout()) + 1) * self.round_trip

    def _free(self) -> bool:
        pool = self.engine.sync_engine.pool
        return not isinstance(pool, Pool) or pool.checkedout() < pool.capacity

    def told(self, position: Position | None, primary: PrimaryLog, asked_at: float, took: float) -> None:
        """Apply its answer: the position up to which it has replayed; None if it is no standby."""
        self.round_trip = took
        if primary.server is None:
            return  # nothing to compare it with yet
        reason = _unfit(position, primary.server)
        if reason is not None or position is None:
            self.leave(reason or "")
            return
        # What it has replayed, it had when it answered: its age counts from the question.
        self.position = position
        self.fresh_at, self.replay_delay = primary.age_of(position, asked_at)
        if self.out is not None:
            level = logging.DEBUG if self.out == NOT_ASKED else logging.WARNING
            log.log(level, "the replica %s is used again", self.address)
            self.out = None

    def leave(self, reason: str, *, hung: bool = False) -> None:
        """Use it no longer, until it has answered again. `hung` breaks off what is under way there."""
        if self.out is None:
            log.warning("the replica %s is used no longer: %s", self.address, reason)
            leave_server(self.engine.sync_engine.pool)
        elif self.out == NOT_ASKED:
            log.warning("the replica %s can't be used: %s", self.address, reason)
        self.out = reason
        self.fresh_at = -math.inf
        if hung:
            backend_of(self.engine.dialect).abort_all(self.engine.sync_engine)

    def state(self) -> ReplicaState:
        """Return its current state."""
        age = time.monotonic() - self.fresh_at
        reason = self.out
        if reason is None and age > self._max_lag:
            reason = f"it lags by more than {self._max_lag:g} s"
        lag = None if math.isinf(age) else round(age, 3)
        return ReplicaState(self.address, reason is None, reason, lag, self.reads)


def _unfit(position: Position | None, primary: ServerIdentity) -> str | None:
    """Return the reason why a server with this position is no replica of the primary; None if it is one."""
    if position is None:
        return "it takes writes: it is no standby"
    if position.server.system != primary.system:
        return "it follows another system"
    if position.server.timeline != primary.timeline:
        return f"it is on timeline {position.server.timeline}, the primary on {primary.timeline}"
    return None


def primary_may_do(error: BaseException) -> bool:
    """True if what failed with this error on a replica may succeed on the primary; it has stored nothing."""
    if isinstance(error, ConnectionLost | Unavailable | SerializationFailure | SchemaOutdated):
        return True
    return isinstance(error, DriverError) and error.sqlstate in NOT_ON_STANDBYS


def lost(error: BaseException) -> bool:
    """True if the error means that the server can't be reached."""
    return isinstance(error, ConnectionLost | DatabaseUnavailable)

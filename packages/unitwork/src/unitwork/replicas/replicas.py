"""Replicas: choose the server of a read: a replica that has all that the reader must see, or the primary.

The servers are asked for their positions in the background (`unitwork.replicas.watch`); a read costs no trip. Nothing
here runs for a database without replicas.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextvars import Context
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.replicas.causality import PRIMARY, REPLICA, Causality, causality_in_force, staleness_in_force
from unitwork.replicas.position import Position
from unitwork.replicas.primary_log import PrimaryLog
from unitwork.replicas.replica import Replica, ReplicaState, lost
from unitwork.replicas.watch import Watch

STOPS_WITHIN_SECONDS: Final = 0.5
"""Seconds after which a watch that hasn't ended is cancelled again."""
KEPT_LAGS: Final = 2.0
"""Multiple of the maximal lag for which the primary's positions are kept."""


class Limits:
    """Limits of the use of replicas, in seconds: the age of what they show, the wait for one to replay what a reader
    must see, and the time between two questions after their positions.
    """

    __slots__ = ("max_lag", "poll_interval", "wait")

    def __init__(self, max_lag: float, wait: float, poll_interval: float) -> None:
        self.max_lag = max_lag
        self.wait = wait
        self.poll_interval = poll_interval


class Replicas:
    """The replicas of one primary."""

    def __init__(
        self,
        primary: AsyncEngine,
        replicas: Sequence[AsyncEngine],
        limits: Limits,
        *,
        primary_query: str,
        replica_query: str,
    ) -> None:
        self.primary: Final = primary
        self.replicas: Final = tuple(Replica(engine, limits.max_lag) for engine in replicas)
        self.served: Final[Counter[str]] = Counter({PRIMARY: 0, REPLICA: 0})
        """Numbers of units by the kind of server that was chosen for them."""
        self.told_by_commits = False
        """True if each COMMIT tells its position."""
        self._limits = limits
        self._log = PrimaryLog(KEPT_LAGS * limits.max_lag + 1.0)
        self._outside = Causality()
        """Positions of work outside any `reading_after`."""
        self._moved: asyncio.Future[None] | None = None
        """Done when a replica has answered; None while nobody waits."""
        self._tasks: list[asyncio.Task[None]] = []
        self._latest: tuple[Position, float] | None = None
        interval = limits.poll_interval
        self._watches = [
            Watch(replica.engine, replica_query, interval, self._replica_told(replica), self._replica_lost(replica))
            for replica in self.replicas
        ]
        self._primary_watch = Watch(primary, primary_query, interval, self._primary_told, self._primary_lost)

    def start(self) -> None:
        """Begin to watch the servers. Needs a running event loop."""
        loop = asyncio.get_running_loop()
        for watch in (self._primary_watch, *self._watches):
            self._tasks.append(loop.create_task(watch.run(), name="watch of a database server", context=Context()))

    async def stop(self) -> None:
        """Stop watching."""
        pending, self._tasks = set(self._tasks), []
        while pending:
            for task in pending:
                task.cancel()
            # Again and again: a driver may answer a cancellation by an error of its own.
            _, pending = await asyncio.wait(pending, timeout=STOPS_WITHIN_SECONDS)

    def states(self) -> list[ReplicaState]:
        """Return the current state of each replica."""
        return [replica.state() for replica in self.replicas]

    def committed(self, position: str | None) -> None:
        """Record a commit of the current piece of work; `position` as the server told it, None if it didn't."""
        causality = causality_in_force.get() or self._outside
        causality.committed(None if position is None else Position.parse(position))

    def write(self) -> None:
        """Record a unit that may write, which is the primary's."""
        self._count(PRIMARY, None)

    async def read(self) -> Replica | None:
        """Return the replica to read from now, to be recorded by `served_by`; None for the primary. Waits a bounded
        time for one to replay what the reader must see.
        """
        bound = staleness_in_force.get()
        max_age = self._limits.max_lag if bound is None else min(bound.seconds, self._limits.max_lag)
        causality = causality_in_force.get() or self._outside
        found: Replica | None = None
        if max_age > 0:
            self._locate(causality)
            if causality.located:
                found = self._choose(max_age, causality)
                if found is None and self._soon(causality.position):
                    found = await self._wait(max_age, causality)
        if found is None:
            self._count(PRIMARY, causality)
            return None
        return found

    def served_by(self, replica: Replica) -> None:
        """Record a unit that a replica serves or has served."""
        replica.reads += 1
        self._count(REPLICA, None)
        bound = staleness_in_force.get()
        if bound is not None:
            bound.from_replica = True

    def failed(self, replica: Replica, error: BaseException) -> None:
        """Leave a replica that a unit has lost, and ask it at once if it is there."""
        if lost(error):
            replica.leave(f"a read failed with {type(error).__name__}")
            self._watches[self.replicas.index(replica)].wake()

    def fell_back(self) -> None:
        """Record a read that a replica couldn't serve and the primary does."""
        self._count(PRIMARY, causality_in_force.get())

    def _count(self, server: str, causality: Causality | None) -> None:
        self.served[server] += 1
        causality = causality_in_force.get() if causality is None else causality
        if causality is not None:
            causality.read_from.add(server)

    def _locate(self, causality: Causality) -> None:
        if not causality.located and self._latest is not None:
            causality.locate(*self._latest)

    def _choose(self, max_age: float, causality: Causality) -> Replica | None:
        """Return the less loaded one of two of the usable replicas, drawn at random; None if there is none."""
        now, wanted = time.monotonic(), causality.position
        usable = [replica for replica in self.replicas if replica.usable(now, max_age, wanted)]
        if len(usable) > 2:
            usable = random.sample(usable, 2)
        return min(usable, key=Replica.load, default=None)

    def _soon(self, wanted: Position | None) -> bool:
        """True if a replica can be expected to have replayed `wanted` by the end of the longest wait."""
        return wanted is not None and any(
            replica.out is None
            and replica.replay_delay <= self._limits.wait
            and replica.position is not None
            and replica.position.server == wanted.server
            for replica in self.replicas
        )

    async def _wait(self, max_age: float, causality: Causality) -> Replica | None:
        for watch in self._watches:
            watch.waiting += 1
            watch.wake()
        loop = asyncio.get_running_loop()
        until = loop.time() + self._limits.wait
        try:
            while (left := until - loop.time()) > 0:
                if self._moved is None:
                    self._moved = loop.create_future()
                await asyncio.wait((self._moved,), timeout=left)
                found = self._choose(max_age, causality)
                if found is not None:
                    return found
        finally:
            for watch in self._watches:
                watch.waiting -= 1
        return None

    def _primary_told(self, answer: Any, asked_at: float, _took: float) -> None:
        position = None if answer is None else Position.parse(answer)
        if position is not None:
            self._log.add(position, asked_at)
            self._latest = position, asked_at
            self._outside.locate(position, asked_at)
            self._outside.follow(position)

    def _primary_lost(self, _reason: str) -> None:
        """Do nothing: replicas are used until they are too old."""

    def _replica_told(self, replica: Replica) -> Any:
        def told(answer: Any, asked_at: float, took: float) -> None:
            replica.told(None if answer is None else Position.parse(answer), self._log, asked_at, took)
            moved, self._moved = self._moved, None
            if moved is not None and not moved.done():
                moved.set_result(None)

        return told

    def _replica_lost(self, replica: Replica) -> Any:
        def lost(reason: str) -> None:
            replica.leave(reason, hung=True)

        return lost

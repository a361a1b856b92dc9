"""Places: admission to the pool, by lanes. A lane is a kind of work, such as one route of a server.

Without lanes, a pool serves its waiters in the order they came, each for up to the pool timeout: whoever sends many
slow requests takes the connections of all others. A lane has a maximum share of the pool, leaves some connections to
lanes of a better rank, and waits for a bounded time. Units outside every lane use the pool as before.
"""

import asyncio
import math
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from enum import IntEnum
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.deadline import remaining
from unitwork.errors import Overloaded

SMALLEST_SHARED: Final = 4
"""Number of connections below which a pool is too small to be divided: each lane may use it whole."""
SHORTEST_WAIT_SHARE: Final = 0.7
"""Smallest share of its wait after which work is refused. Drawn anew for each: many that came at once, and were refused
at once, would come again at once.
"""
LAST_WAIT_SHARE: Final = 0.05
"""Smallest share of its wait that is left for a further connection."""
LONG_LIVED_WAITS: Final = 5
"""Number of waits after which work is taken for a stream."""
RETRY_SHARES: Final = (0.5, 2.0)
"""Bounds of the share of its wait after which refused work is told to come again, drawn for the same reason."""
OVERLOAD_WAIT_SHARE: Final = 0.25
"""Share of its wait that a lane's new work gets when others of the lane have waited for that long without a break."""


class Rank(IntEnum):
    """Rank of a lane: which connections it leaves to the ranks before it."""

    PROBE = 0
    """Leaves none: questions after the service's health."""
    ENTRANCE = 1
    """Leaves one connection to probes: logins."""
    USUAL = 2
    """Leaves a sixth of the pool and one connection to the ranks before it."""


class Lane(NamedTuple):
    """A kind of work: its name, its rank, and the share of the pool's connections it may hold at once."""

    name: str
    rank: Rank = Rank.USUAL
    share: float = 0.6

    def most(self, capacity: int) -> int:
        """Return the number of connections that the lane may hold of a pool of this capacity: its share, and never the
        last one that lanes of its rank may use.
        """
        if capacity < SMALLEST_SHARED or self.rank is Rank.PROBE:
            return capacity
        return max(1, min(math.ceil(capacity * self.share), self.below(capacity) - 1))

    def below(self, capacity: int) -> int:
        """Return the number of connections in use below which the lane is admitted."""
        left = {Rank.PROBE: 0, Rank.ENTRANCE: 1, Rank.USUAL: 1 + capacity // 6}[self.rank]
        return capacity if capacity < SMALLEST_SHARED else capacity - left


class Claim:
    """Claim of one piece of work to connections: its lane, and how long it waits for them, in seconds. That is for all
    together, but for each in work that goes on for long, such as a stream.

    All units of the work share it. While it holds a connection, a further one is taken without regard to the lane: it
    would wait for itself. Work that has `begun`, having held one, comes before new work of its lane.
    """

    __slots__ = ("begun", "created", "gone", "holding", "lane", "reserved", "wait_seconds", "waited")

    def __init__(self, lane: Lane, wait_seconds: float, gone: Callable[[], Awaitable[object]] | None) -> None:
        self.lane = lane
        self.wait_seconds = wait_seconds
        self.gone = gone
        self.begun = False
        self.holding = 0
        self.created = time.monotonic()
        self.waited = 0.0
        self.reserved: Place | None = None
        """Place that its next connection takes (`Places.reserve`)."""

    def time_to_wait(self) -> float:
        """Return for how many seconds the next connection may be waited for."""
        if time.monotonic() - self.created > LONG_LIVED_WAITS * self.wait_seconds:
            self.waited = 0.0
        return max(self.wait_seconds - self.waited, self.wait_seconds * LAST_WAIT_SHARE)


claim_in_force: Final[ContextVar[Claim | None]] = ContextVar("claim", default=None)


@contextmanager
def in_lane(lane: Lane, *, wait: float, gone: Callable[[], Awaitable[object]] | None = None) -> Iterator[None]:
    """Take the connections of the block's units, in tasks started in it too, in this lane. A unit that gets none within
    `wait` seconds, or less under overload, raises `Overloaded`; nothing of it was sent.

    `gone` waits until nobody wants the work's result any more, and raises; it is called while the work waits, which
    then ends with its exception.
    """
    claim = Claim(lane, wait, gone)
    token = claim_in_force.set(claim)
    try:
        yield
    finally:
        claim_in_force.reset(token)
        if claim.reserved is not None:
            claim.reserved.give_back()


def leave_lane() -> None:
    """Remove the lane from the current context, for work that outlives its request."""
    claim_in_force.set(None)


async def admitted(engine: AsyncEngine) -> None:
    """Wait until the engine's pool admits the next unit of the lane in force, as that unit would itself: the refusal
    comes before any work is done for it. Returns at once outside every lane. Raises `Overloaded`.
    """
    admit: Callable[[], Awaitable[None]] | None = getattr(engine.pool, "admit", None)  # a host's own pool has no lanes
    if admit is not None:
        await admit()


class Place:
    """One connection's place, from its admission until its return."""

    __slots__ = ("_claim", "_places")

    def __init__(self, places: "Places", claim: Claim) -> None:
        self._places = places
        self._claim: Claim | None = claim

    def give_back(self) -> None:
        """Free the place, once."""
        claim, self._claim = self._claim, None
        if claim is not None:
            if claim.reserved is self:
                self._places.use_reserved(claim)
            self._places.left(claim)


class _Waiter(NamedTuple):
    claim: Claim
    place: "asyncio.Future[Place]"


class Places:
    """Admission to one pool. `capacity` and `in_use` return its connections: at most, and in use.

    A freed connection goes to the best rank, and within it to each lane in turn. In a lane, work that has begun is
    first, then the oldest waiter; the newest one when the lane is overloaded, as the older ones are likely to be given
    up.
    """

    def __init__(self, capacity: Callable[[], int], in_use: Callable[[], int]) -> None:
        self._capacity = capacity
        self._in_use = in_use
        self._coming = 0
        """Places given to work that hasn't asked the pool for its connection yet: waiters that haven't run since, and
        reservations.
        """
        self._held: Counter[str] = Counter()
        """Places given, by lane."""
        self._waiting: dict[str, deque[_Waiter]] = {}
        """Waiters by lane; the lane served last is at the end."""
        self._waited_since: dict[str, float] = {}
        """Moment at which a lane's queue was last empty, by the loop's clock; of lanes with a queue."""
        self.refused = 0
        """Number of claims refused as overload."""

    @property
    def waiting(self) -> bool:
        """True if a claim waits."""
        return bool(self._waiting)

    def admits(self, claim: Claim) -> bool:
        """Return True if `take` would return a place now."""
        return claim.holding > 0 or (claim.lane.name not in self._waiting and self._free(claim.lane))

    def take(self, claim: Claim) -> Place | None:
        """Return a place; None if the claim must wait for one. Ask the pool for the connection in the same turn of the
        event loop.
        """
        if claim.reserved is not None:
            return self.use_reserved(claim)
        return self._given(claim) if self.admits(claim) else None

    async def reserve(self, claim: Claim) -> None:
        """Wait for a place that the claim's next connection will take. Raises as `wait` does."""
        place = await self.wait(claim)
        if claim.reserved is None:
            claim.reserved = place
            self._coming += 1
        else:
            place.give_back()

    def use_reserved(self, claim: Claim) -> Place | None:
        """Return the claim's reserved place, if any, which isn't reserved any more."""
        place, claim.reserved = claim.reserved, None
        if place is not None:
            self._coming -= 1
        return place

    async def wait(self, claim: Claim) -> Place:
        """Wait for a place and return it. Ask the pool for the connection in the same turn of the event loop. Raises
        `Overloaded`, and what the claim's `gone` raises.
        """
        loop, lane = asyncio.get_running_loop(), claim.lane
        queue = self._waiting.setdefault(lane.name, deque())
        since = self._waited_since.setdefault(lane.name, loop.time())
        begun, bound = loop.time(), claim.time_to_wait()
        if begun - since > claim.wait_seconds and not claim.begun:
            bound *= OVERLOAD_WAIT_SHARE
        bound *= random.uniform(SHORTEST_WAIT_SHARE, 1.0)  # noqa: S311 - no secret
        left = remaining()
        waiter = _Waiter(claim, loop.create_future())
        queue.insert(sum(other.claim.begun for other in queue) if claim.begun else len(queue), waiter)
        late = bound if left is None else min(bound, left)
        timer = loop.call_later(late, self._refuse, waiter, late)
        watch = None if claim.gone is None else asyncio.ensure_future(_watched(claim.gone, waiter.place))
        try:
            place = await waiter.place
        except BaseException:
            if waiter.place.done() and not waiter.place.cancelled() and waiter.place.exception() is None:
                self._coming -= 1
                waiter.place.result().give_back()  # given in the turn in which the wait was cancelled
            raise
        else:
            self._coming -= 1
            return place
        finally:
            timer.cancel()
            claim.waited += loop.time() - begun
            if watch is not None:
                watch.cancel()
            self._forget(waiter)

    def left(self, claim: Claim) -> None:
        """Note that a place is free again."""
        claim.holding -= 1
        name = claim.lane.name
        self._held[name] -= 1
        if not self._held[name]:
            del self._held[name]  # lanes may be many: a server's routes
        if self._waiting:
            self.serve()

    def serve(self) -> None:
        """Give free places to those who wait. To be called when a connection was returned."""
        for name in sorted(self._waiting, key=lambda name: self._waiting[name][0].claim.lane.rank):
            queue = self._waiting[name]
            newest_first = self._overloaded(name)
            while queue and self._free(queue[0].claim.lane):
                waiter = queue.pop() if newest_first and not queue[0].claim.begun else queue.popleft()
                if not waiter.place.done():  # else it was refused or cancelled, and hasn't run since
                    waiter.place.set_result(self._given(waiter.claim))
                    self._coming += 1
                    break
            if queue:
                self._waiting[name] = self._waiting.pop(name)  # the next place goes to another lane
            else:
                self._ended(name)

    def _given(self, claim: Claim) -> Place:
        claim.holding += 1
        claim.begun = True
        self._held[claim.lane.name] += 1
        return Place(self, claim)

    def _free(self, lane: Lane) -> bool:
        capacity = self._capacity()
        in_use = self._in_use() + self._coming
        return in_use < lane.below(capacity) and self._held.get(lane.name, 0) < lane.most(capacity)

    def _overloaded(self, name: str) -> bool:
        longest = self._waiting[name][0].claim.wait_seconds
        return asyncio.get_running_loop().time() - self._waited_since[name] > longest

    def _refuse(self, waiter: _Waiter, waited: float) -> None:
        if not waiter.place.done():
            self.refused += 1
            retry_after = waiter.claim.wait_seconds * random.uniform(*RETRY_SHARES)  # noqa: S311 - no secret
            waiter.place.set_exception(Overloaded(waiter.claim.lane.name, waited, retry_after))

    def _forget(self, waiter: _Waiter) -> None:
        queue = self._waiting.get(waiter.claim.lane.name)
        if queue is not None:
            with suppress(ValueError):
                queue.remove(waiter)
            if not queue:
                self._ended(waiter.claim.lane.name)

    def _ended(self, name: str) -> None:
        del self._waiting[name], self._waited_since[name]


async def _watched(gone: Callable[[], Awaitable[object]], place: "asyncio.Future[Place]") -> None:
    """End the wait with the exception of `gone`."""
    try:
        await gone()
    except Exception as error:  # noqa: BLE001 - raised to the waiter, whatever it is
        if not place.done():
            place.set_exception(error)

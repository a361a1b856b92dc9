"""PrimaryLog: where the primary's log ended at recent moments, by which the age of a replica's state is known.

No clock but ours is read: a replica that has replayed what the primary had written when it was asked is as new as that
moment.
"""

import math
from collections import deque
from typing import Final, NamedTuple

from unitwork.replicas.position import Position
from unitwork.server_identity import ServerIdentity

MAX_SAMPLES: Final = 5000
"""Maximum number of samples that are kept, whatever the interval."""


class Age(NamedTuple):
    """The age of a replica's state, as far as the samples tell."""

    fresh_at: float
    """Moment of `time.monotonic()` whose state the replica has replayed completely; -inf if it isn't known."""
    replay_delay: float
    """Seconds since the primary wrote the first thing that the replica hasn't replayed; 0 if it has replayed all."""


class PrimaryLog:
    """Samples of the primary's position, oldest first; those of another history are dropped."""

    def __init__(self, keep_seconds: float) -> None:
        self._keep_seconds = keep_seconds
        self._samples: deque[tuple[float, int]] = deque(maxlen=MAX_SAMPLES)
        self.server: ServerIdentity | None = None
        """History of the primary; None until it was asked."""

    def add(self, position: Position, asked_at: float) -> None:
        """Add the answer to a question asked at this moment of `time.monotonic()`."""
        if position.server != self.server:
            self._samples.clear()
            self.server = position.server
        self._samples.append((asked_at, position.lsn))
        while self._samples[0][0] < asked_at - self._keep_seconds:
            self._samples.popleft()

    def age_of(self, position: Position, now: float) -> Age:
        """Return the age of a state at this position of the same history."""
        missed_at = now
        for asked_at, lsn in reversed(self._samples):
            if lsn <= position.lsn:
                return Age(asked_at, now - missed_at)
            missed_at = asked_at
        return Age(-math.inf, math.inf)

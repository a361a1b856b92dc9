"""Snowflake: 64-bit ids that sort by time and are generated without a query.

41 bits of milliseconds since 2025-01-01 UTC, 12 bits of node, 10 bits of sequence.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from unitwork.errors.model import ClockWentBack

EPOCH_MS: Final = 1_735_689_600_000
"""2025-01-01T00:00:00Z, in milliseconds since 1970."""
NODE_BITS: Final = 12
SEQUENCE_BITS: Final = 10
PATIENCE_MS: Final = 1_000
"""Maximum milliseconds the clock may be behind the last id for `next_id` to wait; beyond that it raises."""


AHEAD_MS: Final = 20
"""Maximum milliseconds that `next_ids` may run ahead of the clock instead of waiting. A process cannot restart this
fast.
"""


class Snowflake:
    """Generates unique, strictly rising ids of one node. Thread-safe; blocks for at most `PATIENCE_MS`.

    `clock` returns milliseconds since 1970 and `sleep` takes seconds; tests replace them.
    """

    def __init__(
        self,
        node_id: int,
        *,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not 0 <= node_id < 1 << NODE_BITS:
            msg = f"node id {node_id} is not between 0 and {(1 << NODE_BITS) - 1}; set `node_id`"
            raise ValueError(msg)
        self._node = node_id << SEQUENCE_BITS
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._last_ms = -1
        self._sequence = 0

    @classmethod
    def of_node(cls, node_id: int) -> "Snowflake":
        """Return this process's generator for a configured node. Containers with the same node share it: two generators
        of one node would repeat ids.
        """
        with _of_process_lock:
            return _of_process.setdefault(node_id, cls(node_id))

    @property
    def node_id(self) -> int:
        """The node that is part of each id."""
        return self._node >> SEQUENCE_BITS

    @property
    def used_until(self) -> int:
        """The moment of the last id, in milliseconds since 1970."""
        return self._last_ms + EPOCH_MS

    def move(self, node_id: int, *, used_until: int) -> None:
        """Switch to another node, whose ids up to `used_until` may have been made by others. Ids keep rising."""
        with self._lock:
            self._node = node_id << SEQUENCE_BITS
            self._last_ms = max(self._last_ms, used_until - EPOCH_MS)
            self._sequence = (1 << SEQUENCE_BITS) - 1  # forces the next id to a later millisecond

    def next_id(self) -> int:
        """Return the next id, above every earlier one. Raises `ClockWentBack` if the clock is too far behind
        to wait.
        """
        with self._lock:
            now = self._now()
            if now <= self._last_ms:
                now = self._last_ms
                self._sequence += 1
                if self._sequence >> SEQUENCE_BITS:
                    now = self._wait_past(self._last_ms)
                    self._sequence = 0
            else:
                self._sequence = 0
            self._last_ms = now
            return now << (NODE_BITS + SEQUENCE_BITS) | self._node | self._sequence

    def next_ids(self, count: int) -> list[int]:
        """Return `count` ids, rising and above every earlier one. Raises `ClockWentBack` as `next_id` does."""
        ids: list[int] = []
        with self._lock:
            now = self._now()
            if now > self._last_ms:
                self._last_ms, self._sequence = now, -1
            while len(ids) < count:
                first = self._sequence + 1
                if first >> SEQUENCE_BITS:
                    if self._last_ms - now >= AHEAD_MS:
                        now = self._wait_past(self._last_ms - AHEAD_MS)
                    self._last_ms, first = self._last_ms + 1, 0
                end = min(first + count - len(ids), 1 << SEQUENCE_BITS)
                base = self._last_ms << (NODE_BITS + SEQUENCE_BITS) | self._node
                ids.extend(range(base + first, base + end))
                self._sequence = end - 1
        return ids

    def _now(self) -> int:
        now = self._clock() - EPOCH_MS
        if self._last_ms - now > PATIENCE_MS:
            raise ClockWentBack((self._last_ms - now) / 1000)
        return now

    def _wait_past(self, moment: int) -> int:
        while (now := self._now()) <= moment:
            self._sleep((moment - now + 1) / 1000)
        return now


_of_process: Final[dict[int, Snowflake]] = {}
_of_process_lock: Final = threading.Lock()

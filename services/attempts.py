"""Attempts: counters of attempts in memory, bounded in number."""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Final

from limits.aio.storage import Storage
from limits.aio.strategies import FixedWindowRateLimiter


class Attempts(Storage):
    """A `limits` storage for fixed windows that holds a bounded number of keys; `limits`' own memory storage is
    unbounded.

    When it is full, the oldest windows are dropped first. To displace a counter, an attacker needs as many other keys
    of the same kind, which the limit on addresses prevents. Keys are `LIMITER/<digest of the owner>/…`.
    """

    STORAGE_SCHEME = None

    def __init__(self, max_keys: Callable[[], int]) -> None:
        super().__init__()
        self._max_keys: Final = max_keys
        self._counters: OrderedDict[str, tuple[int, float]] = OrderedDict()
        """Count and end of window by key, oldest window first."""
        self.limiter: Final = FixedWindowRateLimiter(self)

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        return ()

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        now = time.time()
        count, ends = self._counters.get(key, (0, 0.0))
        if ends <= now:
            self._counters.pop(key, None)
            count, ends = 0, now + expiry
            self._make_room(now)
        self._counters[key] = (count + amount, ends)
        return count + amount

    async def get(self, key: str) -> int:
        count, ends = self._counters.get(key, (0, 0.0))
        return count if ends > time.time() else 0

    async def get_expiry(self, key: str) -> float:
        return self._counters.get(key, (0, time.time()))[1]

    async def check(self) -> bool:
        return True

    async def reset(self) -> int | None:
        count = len(self._counters)
        self._counters.clear()
        return count

    async def clear(self, key: str) -> None:
        self._counters.pop(key, None)

    def forget(self, owners: Collection[str]) -> None:
        """Drop the counters of these owners. It looks at every key: purges are rare, and an index would double the
        memory.
        """
        for key in [key for key in self._counters if key.split("/", 2)[1] in owners]:
            del self._counters[key]

    def _make_room(self, now: float) -> None:
        """Drop ended windows, oldest first, and further ones while the storage is full."""
        while self._counters:
            key, (_, ends) = next(iter(self._counters.items()))
            if ends > now and len(self._counters) < self._max_keys():
                return
            del self._counters[key]

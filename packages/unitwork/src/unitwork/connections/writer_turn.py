"""WriterTurn: a fair queue for SQLite's single writer.

SQLite itself makes waiting writers poll: some starve, and all hold a connection meanwhile. Units of one container queue
here instead, before they take a connection; between processes the busy timeout still applies.
"""

import asyncio

from unitwork.errors import LockNotAvailable
from unitwork.unit import Unit


class WriterTurn:
    """Fair lock that a unit holds from its first write until it ends. `timeout` is seconds."""

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

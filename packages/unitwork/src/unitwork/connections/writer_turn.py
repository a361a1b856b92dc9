"""WriterTurn: SQLite's one writer, given out in the order it was asked for.

SQLite itself lets the waiting poll: some starve, and all hold a connection meanwhile. Units of one container queue
here instead, before they take a connection; against other processes the busy timeout still counts.
"""

import asyncio

from unitwork.errors import LockNotAvailable
from unitwork.unit import Unit


class WriterTurn:
    """Fair, and the owner's until its unit ends. `timeout` is seconds."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._lock = asyncio.Lock()
        self._owner: Unit | None = None

    async def take(self, unit: Unit) -> None:
        """Wait for the turn, if the unit hasn't got it. Raises `LockNotAvailable` when it does not come in time."""
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
        """End the unit's turn, if it has it."""
        if self._owner is unit:
            self._owner = None
            self._lock.release()

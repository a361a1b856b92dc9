"""IsolatedPool: a pool of the only connection of an isolated test; units take turns."""

import asyncio
from typing import Any

from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from sqlalchemy.util import await_only

from unitwork.call_site import asking_site
from unitwork.connections.pool import Pool
from unitwork.testing.errors import NeedsOwnDatabase

TURN_TIMEOUT_SECONDS = 10.0
"""Maximum seconds that a unit waits for its turn."""


class _Turn:
    """One holder's use of the connection."""

    def __init__(self) -> None:
        self.task = asyncio.current_task()
        self.call_site = asking_site() or "a helper of the machinery"


class IsolatedPool(Pool):
    """Hands out the connection first come, first served. Raises `NeedsOwnDatabase` for a deadlock or a timeout."""

    inside_transaction = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._free = asyncio.Lock()
        self._turn: _Turn | None = None

    def connect(self) -> PoolProxiedConnection:
        turn = _Turn()
        await_only(self._take(turn))
        try:
            return super().connect()
        except BaseException:
            self._give_back(turn)
            raise

    async def _take(self, turn: _Turn) -> None:
        held = self._turn
        if held is not None and held.task is turn.task:
            what = f"a second connection was asked for while the one taken at {held.call_site} is in use"
            raise NeedsOwnDatabase(what, turn.call_site)
        try:
            async with asyncio.timeout(TURN_TIMEOUT_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            holder = "nobody knows where" if self._turn is None else self._turn.call_site
            what = f"the connection taken at {holder} was not given back within {TURN_TIMEOUT_SECONDS:g} s"
            raise NeedsOwnDatabase(what, turn.call_site) from None
        self._turn = turn

    def _give_back(self, turn: _Turn | None) -> None:
        if turn is not None and self._turn is turn:
            self._turn = None
            self._free.release()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        super()._do_return_conn(record)
        self._give_back(self._turn)

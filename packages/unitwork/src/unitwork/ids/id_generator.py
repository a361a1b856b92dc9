"""IdGenerator: the container's, with a generator of its own for each database and each node that was set.

A lease counts in the database that gave it alone: an engine that stands in for another for a while makes ids on a
node of its own, and takes none of the other's.
"""

from collections.abc import Callable
from typing import Any, Protocol

from sqlalchemy import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.connections.lifetime import Lifetime
from unitwork.errors import ContainerClosed, EngineNotStarted
from unitwork.ids.leased_ids import LeasedIds


class Configured(Protocol):
    """The settings, as far as ids are concerned."""

    @property
    def node_id(self) -> int | None: ...


class IdGenerator:
    """Asks for the settings, the engine and the lifetime in force at each use; what it keeps, it keeps for each of
    them. `options` are those of `LeasedIds`.
    """

    def __init__(
        self,
        settings: Callable[[], Configured],
        engine: Callable[[], AsyncEngine],
        lifetime: Callable[[], Lifetime],
        **options: Any,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._lifetime = lifetime
        self._options = options
        self._drawn = False
        self._known: dict[tuple[Dialect | None, int | None], LeasedIds] = {}

    def of(self, engine: AsyncEngine) -> LeasedIds:
        """The generator for what is stored through this engine, on the node in force."""
        return self._of(engine.sync_engine.dialect)

    @property
    def ready(self) -> bool:
        """Whether ids can be made without asking the database."""
        return self._in_force().ready

    @property
    def node_id(self) -> int:
        """The share of the id space that the next id is of. Raises `NodeLeaseLost`."""
        return self._in_force().node_id

    def next_id(self) -> int:
        """The next id for the engine in force. Raises `NodeLeaseLost`, and `ClockWentBack`."""
        return self._in_force().next_id()

    def next_ids(self, count: int) -> list[int]:
        """So many of them, rising. Raises as `next_id` does."""
        return self._in_force().next_ids(count)

    def draw(self) -> None:
        """Go on without leases, as `LeasedIds.draw`."""
        self._drawn = True
        for known in (self._in_force(), *self._known.values()):
            known.draw()

    def _in_force(self) -> LeasedIds:
        try:
            return self.of(self._engine())
        except (ContainerClosed, EngineNotStarted):  # ids are made for what is kept in memory, too
            dialects = [dialect for dialect, _ in self._known if dialect is not None]
            return self._of(dialects[-1] if dialects else None)

    def _of(self, dialect: Dialect | None) -> LeasedIds:
        key = (dialect, self._settings().node_id)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = LeasedIds(key[1], self._lifetime(), **self._options)
            if self._drawn:
                found.draw()
        return found

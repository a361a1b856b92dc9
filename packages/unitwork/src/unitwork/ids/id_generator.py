"""IdGenerator: the container's id generator, which keeps a separate one for each database and configured node; and
NewIds, which passes it to sessions.

A lease is valid only in the database that granted it: while a container's engine is replaced by another one, ids come
from a node leased from that engine's database.
"""

from collections.abc import Callable
from typing import Any, Protocol

from sqlalchemy import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.connections.lifetime import Lifetime
from unitwork.errors import ContainerClosed, EngineNotStarted
from unitwork.ids.leased_ids import LeasedIds
from unitwork.models.base import ID_GENERATOR
from unitwork.sessions.session_factory import Begin, Prepared


class Configured(Protocol):
    """The settings that id generation reads."""

    @property
    def node_id(self) -> int | None: ...


class IdGenerator:
    """Generates ids. Settings, engine and lifetime are looked up at each use, and one generator is kept for each
    combination of them. `options` are those of `LeasedIds`.
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
        """Return the generator for rows stored through this engine, on the node in force."""
        return self._of(engine.sync_engine.dialect)

    @property
    def ready(self) -> bool:
        """True if ids can be made without a query."""
        return self._in_force().ready

    @property
    def node_id(self) -> int:
        """Return the node of the next id. Raises `NodeLeaseLost`."""
        return self._in_force().node_id

    def next_id(self) -> int:
        """Return the next id for the engine in force. Raises `NodeLeaseLost` and `ClockWentBack`."""
        return self._in_force().next_id()

    def next_ids(self, count: int) -> list[int]:
        """Return `count` rising ids. Raises as `next_id` does."""
        return self._in_force().next_ids(count)

    def draw(self) -> None:
        """Switch to a random node without a lease, as `LeasedIds.draw` does."""
        self._drawn = True
        for known in (self._in_force(), *self._known.values()):
            known.draw()

    def _in_force(self) -> LeasedIds:
        try:
            return self.of(self._engine())
        except (ContainerClosed, EngineNotStarted):  # ids are also made for rows that are kept in memory
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


class NewIds:
    """Preparation of units that gives each session its id generator and leases a node before the first unit that may
    write.

    `ids` returns an `IdGenerator`. A generator of another class makes ids for any engine and leases no node.
    """

    def __init__(self, ids: Callable[[], Any]) -> None:
        self._ids = ids

    def __call__(self, engine: AsyncEngine, begin: Begin | None) -> Prepared:
        """Return the execution option that holds the generator, and an awaitable that leases a node if needed."""
        ids = self._ids()
        if not isinstance(ids, IdGenerator):
            return Prepared({ID_GENERATOR: ids}, None)
        leased = ids.of(engine)
        due = None if begin is None or leased.ready else leased.lease(engine, begin)
        return Prepared({ID_GENERATOR: leased}, due)

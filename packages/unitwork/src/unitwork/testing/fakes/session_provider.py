"""FakeSessionProvider: a container's session provider without a database."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.connections.compiled_statements import CompiledStatements
from unitwork.connections.lifetime import Lifetime
from unitwork.ids.id_generator import IdGenerator, NewIds
from unitwork.ids.leased_ids import LeasedIds
from unitwork.monitor.monitor import SqlMonitor
from unitwork.outcome import Outcome
from unitwork.sessions.session import ProvidedSession
from unitwork.sessions.session_factory import SessionFactory
from unitwork.testing.fakes.rows.defaults import Generators
from unitwork.testing.fakes.rows.store import Store, View
from unitwork.testing.fakes.rows.table import as_stored
from unitwork.testing.fakes.rows.values import MEMORY, MemoryDialect
from unitwork.testing.fakes.session import FakeSession
from unitwork.transactions.session_provider import EngineSessionProvider
from unitwork.transactions.transaction import ambient
from unitwork.unit import Unit

T = TypeVar("T")


class NoEngine:
    """Stands in for an engine as the owner of transactions; it has only a dialect and a pool."""

    dialect: Final[MemoryDialect] = MEMORY
    pool: Final = None

    @property
    def sync_engine(self) -> "NoEngine":
        return self


class FakeSessionFactory(SessionFactory):
    """Makes sessions over one store, in any event loop: no connection is bound to one."""

    def __init__(self, ids: LeasedIds | IdGenerator | None) -> None:
        lifetime, monitor = Lifetime(), SqlMonitor()
        ids = ids or LeasedIds(None, lifetime)
        ids.draw()  # there is no database to lease a node from
        new_ids = NewIds(lambda: ids)
        self._place = cast("AsyncEngine", NoEngine())
        super().__init__(self.engine, lambda: lifetime, lambda: new_ids, lambda: monitor, lambda: None)
        self.store: Final = Store()
        self.outcomes: Final[list[Outcome]] = []
        self.open = 0
        self._generators = Generators(ids, self.store.next_number)
        self._plans = CompiledStatements(cast("Engine", NoEngine()))

    def engine(self) -> AsyncEngine:
        """Return the owner of these sessions' transactions."""
        return self._place

    def plans(self, engine: AsyncEngine) -> CompiledStatements:
        """Return an empty cache: no driver sends anything."""
        return self._plans

    def __call__(
        self, engine: AsyncEngine, unit: Unit, prepared: Mapping[str, Any], *, autoflush: bool
    ) -> ProvidedSession:
        session = FakeSession(autoflush=autoflush, expire_on_commit=False)
        memory = session.memory
        memory.unit, memory.generators, memory.ended = unit, self._generators, self._ended
        memory.view = View(self.store, self._around())
        self.open += 1
        for watch in self.watchers:
            watch(unit)
        return session

    def _ended(self, outcome: Outcome | None) -> None:
        self.open -= 1
        if outcome is not None:
            self.outcomes.append(outcome)

    def _around(self) -> tuple[View, ...]:
        """Return the units that enclose the running code, including those of the task that started it."""
        views: list[View] = []
        block = ambient.get()
        while block is not None:
            if not block.unit.ended and isinstance(block.session, FakeSession):
                views.append(block.session.memory.view)
            block = block.outer
        return tuple(view for view in views if view.store is self.store)


class FakeSessionProvider(EngineSessionProvider):
    """A session provider over rows in memory, which every `InMemoryDao` built over it shares.

    Blocks, `transaction()` and everything else above the connection is the real code. `id_generator` is the
    container's; without it, ids are of a random node.
    """

    def __init__(self, id_generator: LeasedIds | IdGenerator | None = None) -> None:
        self._sessions = FakeSessionFactory(id_generator)
        super().__init__(self._sessions)

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """The outcome of each transaction, in the order of their ends; autocommit statements have none."""
        return tuple(self._sessions.outcomes)

    @property
    def open(self) -> int:
        """Number of sessions that are open."""
        return self._sessions.open

    def keep(self, model: type[Any]) -> None:
        """Register the model, so that others may refer to its rows. Raises `NotFaked`."""
        self._sessions.store.table(model)

    def committed(self, model: type[T]) -> list[T]:
        """Return every committed row, including soft-deleted ones, by primary key. The models are copies: changing them
        has no effect on the store.
        """
        table = self._sessions.store.table(model)
        rows = sorted(self._sessions.store.committed[table.table].items())
        models = [table.new_model(values) for _, values in rows]
        for model_ in models:
            as_stored(model_)
        return models

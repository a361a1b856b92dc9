"""FakeSessionProvider: the container's session provider without a database."""

from collections.abc import Sequence
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.connections.compiled_statements import CompiledStatements
from unitwork.connections.lifetime import Lifetime
from unitwork.ids.id_generator import IdGenerator
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
    """Stands where an engine would: transactions belong to it, and it is asked for its dialect and its pool alone."""

    dialect: Final[MemoryDialect] = MEMORY
    pool: Final = None

    @property
    def sync_engine(self) -> "NoEngine":
        return self


class FakeSessionFactory(SessionFactory):
    """Makes sessions over one store. In any event loop: there is no connection that would belong to one."""

    def __init__(self, ids: LeasedIds | IdGenerator | None) -> None:
        lifetime, monitor = Lifetime(), SqlMonitor()
        ids = ids or LeasedIds(None, lifetime)
        ids.draw()  # there is no database to lease a node from
        self._place = cast("AsyncEngine", NoEngine())
        super().__init__(self.engine, lambda: lifetime, lambda: ids, lambda: monitor, lambda: None)
        self.store: Final = Store()
        self.outcomes: Final[list[Outcome]] = []
        self.open = 0
        self._generators = Generators(ids, self.store.next_number)
        self._plans = CompiledStatements(cast("Engine", NoEngine()))

    def engine(self) -> AsyncEngine:
        """What the transactions of these sessions belong to."""
        return self._place

    def ids(self, engine: AsyncEngine) -> Any:
        """Of a node that was drawn, and needs no lease."""
        return self._ids()

    def plans(self, engine: AsyncEngine) -> CompiledStatements:
        """For a driver, which there isn't."""
        return self._plans

    def __call__(self, engine: AsyncEngine, unit: Unit, ids: Any, *, autoflush: bool) -> ProvidedSession:
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
        """The units that the running code is inside of, those of the task that started it too."""
        views: list[View] = []
        block = ambient.get()
        while block is not None:
            if not block.unit.ended and isinstance(block.session, FakeSession):
                views.append(block.session.memory.view)
            block = block.outer
        return tuple(view for view in views if view.store is self.store)


class FakeSessionProvider(EngineSessionProvider):
    """A session provider over rows in memory, which every `InMemoryDao` built over it shares.

    Blocks, `transaction()` and whatever else is built on sessions is the real thing; only what a connection would do
    is done in memory. `id_generator` is the container's; without it, ids are of a random node.
    """

    def __init__(self, id_generator: LeasedIds | IdGenerator | None = None) -> None:
        self._sessions = FakeSessionFactory(id_generator)
        super().__init__(self._sessions)

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """How each transaction ended, in the order they did. A statement that commits by itself is none."""
        return tuple(self._sessions.outcomes)

    @property
    def open(self) -> int:
        """How many sessions are open now."""
        return self._sessions.open

    def keep(self, model: type[Any]) -> None:
        """Have a place for the model's rows; from now on others may refer to them. Raises `NotFaked`."""
        self._sessions.store.table(model)

    def committed(self, model: type[T]) -> list[T]:
        """Every row that is committed, deleted ones too, by primary key. The models are nobody's: changing them
        changes nothing here.
        """
        table = self._sessions.store.table(model)
        rows = sorted(self._sessions.store.committed[table.table].items())
        models = [table.new_model(values) for _, values in rows]
        for model_ in models:
            as_stored(model_)
        return models

"""SessionFactory: creates sessions on the engine that the container provides at the moment."""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import Pool

from unitwork.backends import postgresql, sqlite
from unitwork.backends.interruption import DEFAULT_GRACE_SECONDS, GRACE_OPTION
from unitwork.backends.registry import backend_of
from unitwork.connections.compiled_statements import CompiledStatements
from unitwork.connections.holders import Holders
from unitwork.connections.lifetime import Lifetime
from unitwork.connections.listeners import followers, install
from unitwork.connections.writer_turn import WriterTurn
from unitwork.errors import EngineBelongsToAnotherProcess
from unitwork.ids.id_generator import IdGenerator
from unitwork.models.base import ID_GENERATOR
from unitwork.monitor.monitor import SqlMonitor
from unitwork.sessions.session import ProvidedSession, guarded_session
from unitwork.sessions.write_recorder import WriteRecorder
from unitwork.unit import UNIT, Unit


class SessionFactory:
    """Creates sessions. Its arguments are providers, called for every unit, so an override takes effect with the next
    unit; a unit ends with the parts it began with. An engine's listeners are registered when it is first seen.

    `ids` returns an `IdGenerator`, or another generator, for which no node is leased.
    """

    def __init__(
        self,
        engine: Callable[[], AsyncEngine],
        lifetime: Callable[[], Lifetime],
        ids: Callable[[], Any],
        monitor: Callable[[], SqlMonitor],
        recorder: Callable[[], WriteRecorder | None],
    ) -> None:
        self._engine = engine
        self._lifetime = lifetime
        self._ids = ids
        self._monitor = monitor
        self._recorder = recorder
        self._monitors: list[SqlMonitor] = []
        """Monitors used so far; the last one is in force."""
        self._in_force: SqlMonitor | None = None
        self._seen: dict[int, _Seen] = {}
        """State per engine seen so far, keyed by the `id` of SQLAlchemy's own engine, as an AsyncEngine's hash is
        slow.
        """
        self._inherited: list[Pool] = []
        self.watchers: list[Callable[[Unit], object]] = []
        """Callbacks for each unit that is opened."""

    def engine(self) -> AsyncEngine:
        """Return the engine in force. Raises `EngineNotStarted` outside `running()`, and `EngineBelongsToAnotherLoop`
        or `EngineBelongsToAnotherProcess` in another event loop or process than the lifetime's.
        """
        engine = self._engine()
        try:
            self._lifetime().check_home()
        except EngineBelongsToAnotherProcess:
            # Kept, not closed: closing even the child's copies of the parent's sockets would disturb the parent.
            self._inherited.append(engine.pool)
            engine.sync_engine.dispose(close=False)
            raise
        key = id(engine.sync_engine)
        if key not in self._seen:
            install(engine)
            self._seen[key] = _Seen(engine)
        return engine

    def dialect(self) -> Dialect:
        """Return the dialect of the engine in force; callable in any thread and process."""
        return self._engine().sync_engine.dialect

    @property
    def monitor(self) -> SqlMonitor:
        """Return the monitor in force. A replaced one keeps listening until its last unit has ended."""
        monitor = self._monitor()
        if monitor is not self._in_force:
            self._change_to(monitor)
        return monitor

    def _change_to(self, monitor: SqlMonitor) -> None:
        self._in_force = monitor
        if self._monitors:
            self._monitors[-1].detach()
        if monitor in self._monitors:
            self._monitors.remove(monitor)
        else:
            self._lifetime().on_close(monitor.close)
        self._monitors.append(monitor)

    @property
    def id_generator(self) -> Any:
        """Return the generator in force; it makes ids for the engine in force at each call."""
        return self._ids()

    def ids(self, engine: AsyncEngine) -> Any:
        """Return the generator in force, bound to this engine."""
        ids = self._ids()
        return ids.of(engine) if isinstance(ids, IdGenerator) else ids

    def __call__(self, engine: AsyncEngine, unit: Unit, ids: Any, *, autoflush: bool) -> ProvidedSession:
        """Return an unconnected session for the unit on this engine; `ids` makes the ids of its new rows. The caller
        must call `left` afterwards. Raises `ContainerClosed`.
        """
        bind, options = self.admit(engine, unit)
        options[ID_GENERATOR] = ids
        return guarded_session(unit, bind, options, autoflush=autoflush, recorder=self._recorder())

    def admit(self, engine: AsyncEngine, unit: Unit) -> tuple[AsyncEngine, dict[str, Any]]:
        """Register a unit that begins; return the engine it connects through and its execution options. The caller must
        call `left` afterwards. Raises `ContainerClosed`.
        """
        monitor = self._monitor()
        if monitor is not self._in_force:
            self._change_to(monitor)
        drain = self._lifetime().drain
        unit.admitted_by = drain, monitor
        monitor.attach(engine)
        drain.admit(unit)
        seen = self._seen[id(engine.sync_engine)]
        unit.followers = seen.followers
        unit.holders = seen.holders
        unit.grace = seen.grace
        monitor.opened(unit)
        for watch in self.watchers:
            watch(unit)
        return seen.bind(engine, unit), {UNIT: unit}

    def plans(self, engine: AsyncEngine) -> CompiledStatements:
        """Return the compiled statements of an engine that `engine()` has returned."""
        return self._seen[id(engine.sync_engine)].plans

    def left(self, unit: Unit) -> None:
        """Unregister a unit whose hooks have run."""
        if unit.admitted_by is not None:
            drain, monitor = unit.admitted_by
            drain.left(unit)
            monitor.left(unit)


class _Seen:
    """State kept per engine for the lifetime of its container."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine: Final = engine
        self.followers: Final = followers(engine)
        options = engine.sync_engine.get_execution_options()
        self.holders = Holders(engine.pool, _writer_turn(engine), options.get(postgresql.STATEMENT_TIMEOUT_OPTION))
        self.grace: float = options.get(GRACE_OPTION, DEFAULT_GRACE_SECONDS)
        self.plans = CompiledStatements(engine.sync_engine)
        self._binds: dict[tuple[bool, str | None, bool], AsyncEngine] = {}

    def bind(self, engine: AsyncEngine, unit: Unit) -> AsyncEngine:
        """Return the engine with the driver options that put the unit's settings into BEGIN, without an extra trip."""
        key = (unit.read_only, unit.isolation, unit.transactional)
        bind = self._binds.get(key)
        if bind is None:
            options = backend_of(engine.dialect).driver_options(
                read_only=unit.read_only, isolation=unit.isolation, transactional=unit.transactional
            )
            bind = self._binds[key] = engine.execution_options(**options) if options else engine
        return bind


def _writer_turn(engine: AsyncEngine) -> WriterTurn | None:
    if not backend_of(engine.dialect).one_writer:
        return None
    options = engine.sync_engine.get_execution_options()
    timeout = options.get(sqlite.WRITER_TIMEOUT_OPTION, sqlite.WRITER_TIMEOUT)
    return None if timeout is None else WriterTurn(timeout)

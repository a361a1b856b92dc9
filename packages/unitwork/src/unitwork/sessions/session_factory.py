"""SessionFactory: creates sessions on the engine that the container provides at the moment."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import Dialect, Engine
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import Pool

from unitwork.backends import postgresql, sqlite
from unitwork.backends.interruption import DEFAULT_GRACE_SECONDS, GRACE_OPTION
from unitwork.backends.registry import backend_of
from unitwork.connections.compiled_statements import CompiledStatements
from unitwork.connections.holders import Holders, WriterTurn
from unitwork.connections.lifetime import Lifetime
from unitwork.connections.listeners import followers, install
from unitwork.errors import EngineBelongsToAnotherProcess
from unitwork.monitor.monitor import SqlMonitor
from unitwork.replicas.replica import Replica
from unitwork.replicas.replicas import Replicas
from unitwork.sessions.replica_session import GuardedReplicaSession, ReplicaSession
from unitwork.sessions.session import ProvidedSession, guarded_session
from unitwork.sessions.write_recorder import WriteRecorder
from unitwork.unit import UNIT, Unit


class Prepared(NamedTuple):
    """Result of a `Preparation`, for one unit."""

    options: Mapping[str, Any]
    """Execution options of its session."""
    due: Awaitable[None] | None
    """Work to await before the unit begins; nearly always None."""


Begin = Callable[[str], AbstractAsyncContextManager[Any]]
"""Opens a short transaction with this name. No other block joins it, and no `Preparation` runs for it."""


class Preparation(Protocol):
    """Callable that runs before each unit begins, for work that must precede its first write."""

    def __call__(self, engine: AsyncEngine, begin: Begin | None) -> Prepared:
        """Prepare a unit on this engine. `begin` is None for a unit that writes nothing, for which no work is due."""


class SessionFactory:
    """Factory of sessions. Its arguments are providers, called at each use, so that an override takes effect with the
    next unit; a unit ends with the objects it began with. An engine's listeners are installed at its first use.
    """

    def __init__(
        self,
        engine: Callable[[], AsyncEngine],
        lifetime: Callable[[], Lifetime],
        preparation: Callable[[], Preparation],
        monitor: Callable[[], SqlMonitor],
        recorder: Callable[[], WriteRecorder | None],
        replicas: Callable[[], Replicas | None] | None = None,
    ) -> None:
        self._engine = engine
        self._lifetime = lifetime
        self._preparation = preparation
        self._monitor = monitor
        self._recorder = recorder
        self._replicas = replicas
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
        return self._known(engine)

    def _known(self, engine: AsyncEngine) -> AsyncEngine:
        key = id(engine.sync_engine)
        if key not in self._seen:
            install(engine)
            self._seen[key] = _Seen(engine)
        return engine

    @property
    def replicas(self) -> Replicas | None:
        """Return the replicas in force; None where reads have the primary alone."""
        replicas = None if self._replicas is None else self._replicas()
        if replicas is not None:
            self.monitor.replicas = replicas
        return replicas

    def at(self, replica: Replica) -> AsyncEngine:
        """Return a replica's engine, known to this factory."""
        return self._known(replica.engine)

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

    def prepare(self, engine: AsyncEngine, begin: Begin | None = None) -> Prepared:
        """Prepare a unit on this engine; pass `begin` for a unit that may write."""
        return self._preparation()(engine, begin)

    def __call__(
        self, engine: AsyncEngine, unit: Unit, prepared: Mapping[str, Any], *, autoflush: bool
    ) -> ProvidedSession:
        """Return a session for the unit on this engine, not connected yet, with its prepared execution options. The
        caller must call `left` afterwards. Raises `ContainerClosed`.
        """
        bind, options = self.admit(engine, unit)
        options |= prepared
        session = guarded_session(unit, bind, options, autoflush=autoflush, recorder=self._recorder())
        if unit.transactional:
            session.plans = self._seen[id(engine.sync_engine)].plans_inside
        return session

    def at_replica(
        self,
        replica: Replica,
        unit: Unit,
        prepared: Mapping[str, Any],
        left: Callable[[BaseException | None], object],
        *,
        autoflush: bool,
    ) -> ProvidedSession:
        """Return a session for one autocommit read on a replica; see `__call__`. `left` is called before the unit goes
        on at the primary, with the replica's error; None if nothing was sent to it.
        """
        primary = self.engine()

        def to_primary(error: BaseException | None) -> Engine:
            left(error)
            return self.move(unit, primary).sync_engine

        bind, options = self.admit(self.at(replica), unit)
        options |= prepared
        session = ReplicaSession(bind, autoflush=autoflush, expire_on_commit=False, execution_options=options)
        guarded: GuardedReplicaSession = session.sync_session  # type: ignore[assignment]  # `sync_session_class` says so
        guarded.unit, guarded.recorder, guarded.to_primary = unit, self._recorder(), to_primary
        return session

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
        bind = self._bind(engine, unit)
        monitor.opened(unit)
        for watch in self.watchers:
            watch(unit)
        return bind, {UNIT: unit}

    def _bind(self, engine: AsyncEngine, unit: Unit) -> AsyncEngine:
        seen = self._seen[id(engine.sync_engine)]
        unit.followers = seen.followers
        unit.holders = seen.holders
        unit.grace = seen.grace
        return seen.bind(engine, unit)

    def move(self, unit: Unit, engine: AsyncEngine) -> AsyncEngine:
        """Let an admitted unit that holds no connection go on at another engine; return the engine it connects
        through.
        """
        if unit.holders is not None:
            unit.holders.released(unit)
        unit.connection, unit.connected, unit.lost, unit.statements = None, False, False, 0
        unit.replica = None
        self._monitor().attach(engine)
        return self._bind(engine, unit)

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
        self.plans_inside: Final = self.plans if self.plans.possible else None
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

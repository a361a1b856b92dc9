"""Database: an engine, its sessions and its transactions, open for the length of one block; no container is needed.

A host with a container wires the same parts itself (`open_engine`, `Lifetime`, `SessionFactory`, …).
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from sqlalchemy import URL, MetaData
from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.connections.engine import open_engine
from unitwork.connections.lifetime import Lifetime
from unitwork.errors import EngineNotStarted
from unitwork.ids.id_generator import IdGenerator, NewIds
from unitwork.monitor.monitor import SqlMonitor
from unitwork.options import DatabaseOptions, Options
from unitwork.replicas.opening import open_replicas
from unitwork.replicas.replicas import Replicas
from unitwork.schema import Schema
from unitwork.sessions.session_factory import SessionFactory
from unitwork.sessions.write_recorder import WriteRecorder
from unitwork.transactions.provider import TransactionProvider
from unitwork.transactions.session_provider import EngineSessionProvider


@runtime_checkable
class OpensItself(Protocol):
    """Options that supply the engine themselves, as those of an isolated test (`unitwork.testing`), which also disposes
    of it.
    """

    def open_engine(self) -> AsyncEngine: ...

    def session_provider(self, factory: SessionFactory) -> EngineSessionProvider: ...


@dataclass(frozen=True)
class _Configured:
    database: Options
    node_id: int | None


class Database(AbstractAsyncContextManager["Database"]):
    """Open inside `async with`. Entering it again inside the block changes nothing; once closed it cannot be reopened.

        async with Database("postgresql://localhost/shop") as database:
            async with database.transaction():
                await OrderDao(database.sessions).add(order)

    `options` are a URL in any spelling, `DatabaseOptions`, or the host's own settings; beside a URL, `replicas` are
    those of PostgreSQL's streaming replicas, which reads may use. `node_id` is this process's
    node number for snowflake ids; without it, if a model has such ids, a node is leased in the table `node_leases`.
    `recorder` receives every write of a session (`unitwork.audit.AuditTrail`).
    """

    def __init__(
        self,
        options: Options | URL | str,
        *,
        replicas: Sequence[URL | str] = (),
        node_id: int | None = None,
        recorder: WriteRecorder | None = None,
    ) -> None:
        self.options: Options = (
            DatabaseOptions(options, replicas=replicas) if isinstance(options, str | URL) else options
        )
        if replicas and not isinstance(options, str | URL):
            msg = "name the replicas in the options: DatabaseOptions(…, replicas=[…])"
            raise TypeError(msg)
        configured = _Configured(self.options, node_id)
        self.lifetime = Lifetime(lambda: self.options.drain_timeout)
        self.monitor = SqlMonitor(lambda: configured)
        """Counts, findings and thresholds of the SQL sent."""
        ids = IdGenerator(lambda: configured, self._opened, lambda: self.lifetime)
        new_ids = NewIds(lambda: ids)
        self.factory = SessionFactory(
            self._opened,
            lambda: self.lifetime,
            lambda: new_ids,
            lambda: self.monitor,
            lambda: recorder,
            (lambda: self.replicas) if self.options.replica_urls else None,
        )
        self.sessions: EngineSessionProvider = (
            self.options.session_provider(self.factory)
            if isinstance(self.options, OpensItself)
            else EngineSessionProvider(self.factory)
        )
        """Session provider, to pass to DAOs."""
        self.transaction = TransactionProvider(self.sessions)
        """Transaction provider: `async with database.transaction():` commits at the block's normal end."""
        self.replicas: Replicas | None = None
        """The replicas while the block is open, if there are any."""
        self._engine: AsyncEngine | None = None

    @property
    def engine(self) -> AsyncEngine:
        """Return SQLAlchemy's engine. Raises `EngineNotStarted` before the block, `ContainerClosed` after it."""
        return self._opened()

    def schema(self, location: Path, *, metadata: MetaData | None = None) -> Schema:
        """Return the Alembic migrations in a folder. `metadata` is that of the host's models; by default that of the
        library's `Base`. Needs the extra `migrations`.
        """
        return Schema(self.engine, location, self.lifetime, self.factory, self.options, metadata=metadata)

    async def __aenter__(self) -> Self:
        self.lifetime.enter()
        if self._engine is None:
            try:
                self._engine = self._open()
                if not isinstance(self.options, OpensItself):
                    self.replicas = open_replicas(self.options, self._engine, self.lifetime)
            except BaseException:
                await self.lifetime.leave(self._forget)
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.lifetime.leave(self._forget)

    def _open(self) -> AsyncEngine:
        options = self.options
        return options.open_engine() if isinstance(options, OpensItself) else open_engine(options, self.lifetime)

    def _opened(self) -> AsyncEngine:
        if self._engine is None:
            self.lifetime.require_open()
            raise EngineNotStarted
        return self._engine

    def _forget(self) -> None:
        self._engine = self.replicas = None

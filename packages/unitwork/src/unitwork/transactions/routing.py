"""Routing: the server of one unit where there are replicas, and what its end tells about it."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.outcome import Outcome
from unitwork.replicas.replica import Replica
from unitwork.replicas.replicas import Replicas
from unitwork.sessions.session import ProvidedSession
from unitwork.sessions.session_factory import SessionFactory
from unitwork.transactions.block_options import BlockOptions
from unitwork.unit import Unit

ON_STANDBYS: Final = frozenset({None, "READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ"})
"""Isolation levels that a standby has."""


class Routing:
    """Routing of one unit."""

    def __init__(self, factory: SessionFactory, replicas: Replicas, unit: Unit, options: BlockOptions) -> None:
        self._factory = factory
        self._replicas = replicas
        self._unit = unit
        self._options = options
        self._replica: Replica | None = None
        self._reads = options.read_only or options.reads

    async def choose(
        self, engine: AsyncEngine, prepared: Mapping[str, Any], *, writer: bool
    ) -> tuple[AsyncEngine, ProvidedSession | None]:
        """Return the engine of the unit, and its session if that isn't a usual one. `writer` is True inside an open
        transaction that may write, whose changes no replica has.
        """
        unit, options = self._unit, self._options
        on_replicas = options.reads or (unit.read_only and unit.transactional and unit.isolation in ON_STANDBYS)
        if writer or not on_replicas:
            self._replicas.write()
            return engine, None
        replica = await self._replicas.read()
        if replica is None:
            return engine, None
        self._replica, unit.replica = replica, replica.address
        if not options.reads:
            self._replicas.served_by(replica)
            return self._factory.at(replica), None
        session = self._factory.at_replica(replica, unit, prepared, self._left, autoflush=options.autoflush)
        return self._factory.at(replica), session

    def _left(self, error: BaseException | None) -> None:
        """Record that the unit goes on at the primary: a replica failed it, or its statement is no plain read."""
        if self._replica is not None and error is not None:
            self._replicas.failed(self._replica, error)
        self._replicas.fell_back()
        self._replica, self._reads = None, error is not None

    def ended(self, error: BaseException | None) -> None:
        """Record the unit's end. Something was stored at an unknown position where no COMMIT has told it."""
        unit = self._unit
        if self._replica is not None:
            if error is not None:
                self._replicas.failed(self._replica, error)
            elif self._options.reads:
                self._replicas.served_by(self._replica)
            return
        if self._reads or not unit.connected:
            return
        committed = unit.outcome is Outcome.COMMITTED and not self._replicas.told_by_commits
        if not unit.transactional or committed or unit.outcome is Outcome.UNKNOWN:
            self._replicas.committed(None)

"""Opening: `open_replicas` makes the replicas that the options name, and watches them until the lifetime ends."""

from typing import Any, Final, cast

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.backends.registry import backend_of
from unitwork.connections.disposal import Disposal
from unitwork.connections.engine import build_engine
from unitwork.connections.lifetime import Lifetime
from unitwork.options import Options
from unitwork.replicas.replicas import Limits, Replicas

CONNECTS_WITHIN_SECONDS: Final = 1.0
"""Longest time for opening a connection to a replica: the primary waits for a read that fails there."""


class _AtReplica:
    """The options of a database, at the address of one of its replicas."""

    def __init__(self, options: Options, url: URL) -> None:
        self._options = options
        self.url = url
        self.connect_timeout = min(options.connect_timeout, CONNECTS_WITHIN_SECONDS)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._options, name)


def open_replicas(settings: Options, engine: AsyncEngine, lifetime: Lifetime) -> Replicas | None:
    """Open the replicas of the primary that `engine` connects to, which the lifetime closes; None where the settings
    name none. Needs a running event loop, in which they are watched.

    Raises as `open_engine` does. A replica that can't be reached is no error: reads use it once it answers.
    """
    if not settings.replica_urls:
        return None
    lifetime.require_open()
    backend = backend_of(engine.dialect)
    queries = backend.position_queries
    if queries is None or getattr(engine.pool, "inside_transaction", False):
        return None  # an overridden engine: of another database, or an isolated test's, whose rows no replica has
    engines = []
    for url in settings.replica_urls:
        replica = build_engine(cast("Options", _AtReplica(settings, url)), replica=True)
        lifetime.on_close(Disposal(replica).dispose)
        engines.append(replica)
    limits = Limits(settings.replica_max_lag, settings.replica_wait, settings.replica_poll_interval)
    replicas = Replicas(engine, engines, limits, primary_query=queries.primary, replica_query=queries.replica)
    replicas.told_by_commits = backend.when_committed(engine.sync_engine, replicas.committed)
    lifetime.on_close(replicas.stop)
    replicas.start()
    return replicas

"""DirectCheckout: a pooled connection taken and returned without SQLAlchemy's proxy of it.

The proxy, its finalizer and the reset of a connection that nothing was left open on cost a third of a read by primary
key. Whatever is out of the ordinary (an error, a listener, a session setting) turns it into that proxy first, and takes
SQLAlchemy's own way.
"""

import weakref
from typing import Any, Final

from sqlalchemy import Dialect, Engine
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.pool.base import _ConnectionFairy

from unitwork.connections.pool import Pool


class DirectCheckout:
    """A pool entry in use, in the form that a unit holds (`HeldConnection`). Must be given back, or turned into
    SQLAlchemy's proxy; a dropped one ends as a dropped proxy does: an error is logged and the connection is terminated.
    """

    __slots__ = ("_entry", "_pool", "dbapi_connection", "dialect", "driver_connection", "engine", "info")

    closed: Final = False

    def __init__(self, engine: Engine, pool: Pool, entry: Any) -> None:
        self._pool = pool
        self._entry = entry
        self.engine = engine
        self.dialect: Dialect = engine.dialect
        self.dbapi_connection: Any = entry.dbapi_connection
        self.driver_connection: Any = entry.driver_connection
        self.info: dict[Any, Any] = entry.info

    @property
    def connection(self) -> Any:
        """Itself: a unit reads driver and `info` from its connection's connection."""
        return self

    @property
    def invalidated(self) -> bool:
        return self._entry is not None and self._entry.dbapi_connection is None

    def give_back(self) -> bool:
        """Return the connection to the pool; False if that needs SQLAlchemy's way, which may have to wait."""
        entry = self._entry
        if entry is None or not self._pool.give_back_ready(entry):
            return False
        self._entry = None
        return True

    def proxied(self) -> PoolProxiedConnection:
        """Return SQLAlchemy's proxy, which owns the connection from now on."""
        entry, self._entry = self._entry, None
        pool: Any = self._pool
        # As SQLAlchemy's own checkout does: the entry knows its proxy weakly, and counts as in use by it.
        proxy = _ConnectionFairy(pool, self.dbapi_connection, entry, pool._should_log_debug())  # noqa: SLF001 - it has no public constructor
        entry.fairy_ref = weakref.ref(proxy)
        proxy._counter = 1  # noqa: SLF001 - as above
        return proxy

    def __del__(self) -> None:
        if self._entry is not None:
            self.proxied()

"""OpenConnections: all connections of one server, which of them are idle and since when, and the timer that checks
their deadlines.

A connection is idle unless the server works on a complete request of it: it is new, between two requests, or in the
middle of a head or a body that the client has yet to send.
"""

import asyncio
from collections.abc import Iterator
from typing import Final, Protocol

from app.serving.slow_down import Refusals
from settings import HttpSettings

MIN_INTERVAL_SECONDS: Final = 0.02
MAX_INTERVAL_SECONDS: Final = 1.0
"""Bounds of the seconds between two checks of all deadlines."""
INTERVAL_FRACTION: Final = 0.1
"""Interval of checks, as a fraction of the shortest timeout: how late a deadline may be noticed."""


class Connection(Protocol):
    """One connection, as seen from here."""

    held: int
    """Bytes of an unfinished body that are counted for it."""

    @property
    def awaits_client(self) -> bool:
        """True if the client is to send the next byte, and nothing here keeps it from that."""
        ...

    def check(self, now: float, elapsed: float) -> None:
        """Close the connection if a deadline has passed. `elapsed` is the time since the last check, in seconds."""
        ...

    def close_idle(self) -> None:
        """Close an idle connection to make room."""
        ...

    def refuse_body(self) -> None:
        """Give up an unfinished body to make room."""
        ...


class OpenConnections:
    """Connections of one server, on one event loop. `max_body_bytes` is the most that a body takes of memory: larger
    ones are streamed.
    """

    def __init__(self, settings: HttpSettings, max_body_bytes: int) -> None:
        self.settings = settings
        self.refusals = Refusals(settings.trusted_proxies)
        self._max_body_bytes = max_body_bytes
        self._max_held = max(settings.max_unfinished_bytes, max_body_bytes)
        self._all: set[Connection] = set()
        self._idle: dict[Connection, None] = {}
        """Idle connections, the longest idle first."""
        self._held = 0
        self._checked = 0.0
        self._timer: asyncio.TimerHandle | None = None
        shortest = min(
            settings.head_timeout, settings.body_timeout, settings.keep_alive_timeout, settings.write_timeout
        )
        self._interval = min(max(shortest * INTERVAL_FRACTION, MIN_INTERVAL_SECONDS), MAX_INTERVAL_SECONDS)

    def opened(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        """Add a connection, which is idle."""
        self._all.add(connection)
        if self._timer is None:
            self._checked = loop.time()
            self._timer = loop.call_later(self._interval, self._check, loop)
        self.idle(connection)

    def ended(self, connection: Connection) -> None:
        """Forget a connection."""
        self._all.discard(connection)
        self._idle.pop(connection, None)
        self.released(connection)

    def idle(self, connection: Connection) -> None:
        """Note that a connection becomes idle now, or is so anew. Beyond the maximum the longest idle one is closed."""
        self._idle.pop(connection, None)
        self._idle[connection] = None
        if len(self._idle) > self.settings.max_idle_connections:
            for longest in self._awaiting():
                del self._idle[longest]
                longest.close_idle()
                break

    def busy(self, connection: Connection) -> None:
        """Note that the server works on a complete request of a connection."""
        self._idle.pop(connection, None)
        self.released(connection)

    def received(self, connection: Connection, size: int) -> None:
        """Count bytes of an unfinished body. Beyond the maximum of all of them the longest idle ones are given up."""
        grown = min(size, self._max_body_bytes - connection.held)
        connection.held += grown
        self._held += grown
        if self._held > self._max_held:
            for longest in self._awaiting():
                if longest.held:
                    self.released(longest)
                    longest.refuse_body()
                    if self._held <= self._max_held:
                        break

    def released(self, connection: Connection) -> None:
        """Count the body of a connection no longer: it has ended, or nobody waits for its rest."""
        self._held -= connection.held
        connection.held = 0

    def _awaiting(self) -> Iterator[Connection]:
        """Yield idle connections that may be closed, the longest idle first."""
        return (connection for connection in tuple(self._idle) if connection.awaits_client)

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        elapsed, self._checked = now - self._checked, now
        for connection in tuple(self._all):
            connection.check(now, elapsed)
        self._timer = loop.call_later(self._interval, self._check, loop) if self._all else None

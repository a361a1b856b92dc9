"""DatabaseServer: facts about the server, for set-up checks."""

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.backends.registry import backend_of
from unitwork.connections.lifetime import Lifetime


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """Facts that the server reports; None for those it doesn't."""

    product: str
    version: str
    round_trip: float
    """Seconds that one statement takes on an open connection."""
    clock_ahead: float | None
    """Seconds by which the server's clock is ahead of ours; negative if it is behind."""
    connections: int | None
    """Maximum number of connections, without those reserved for administrators."""
    superuser: bool | None
    """True if our role is a superuser."""
    encrypted: bool | None


class DatabaseServer:
    """The server of one engine, queried over a connection of its pool."""

    def __init__(self, engine: AsyncEngine, lifetime: Lifetime) -> None:
        lifetime.check_home()
        self._engine = engine

    async def facts(self) -> ServerFacts:
        """Query the server. Raises subclasses of `DatabaseError`."""
        async with self._engine.connect() as connection:
            dialect, backend = connection.dialect, backend_of(connection.dialect)
            await connection.execute(text(backend.probe))
            version = ".".join(map(str, getattr(dialect, "server_version_info", None) or ("unknown",)))
            clock: Any = None
            answers: tuple[Any, ...] = (None, None, None)
            begun = time.perf_counter()
            if backend.server_facts_query is not None:
                sent = time.time()
                clock, *rest = (await connection.execute(text(backend.server_facts_query))).one()
                answers = tuple(rest)
                clock = None if clock is None else float(clock) - (sent + time.time()) / 2
            took = time.perf_counter() - begun
        max_connections, superuser, encrypted = answers
        return ServerFacts(
            product=dialect.name,
            version=version,
            round_trip=took,
            clock_ahead=clock,
            connections=None if max_connections is None else int(max_connections),
            superuser=None if superuser is None else bool(superuser),
            encrypted=None if encrypted is None else bool(int(encrypted)),
        )

    async def overwrite_deleted(self) -> bool:
        """Overwrite deleted data in the files of an embedded database, whose log keeps it for a while. Return False if
        a reader prevents it. Does nothing for a server, whose files are its administrator's responsibility.
        """
        backend = backend_of(self._engine.dialect)
        return True if not backend.in_file else await backend.overwrite_deleted(self._engine)

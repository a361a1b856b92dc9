"""Dialing: open PostgreSQL connections to the primary, whichever of the hosts it is by now.

asyncpg takes the first host that isn't in recovery, waits for one that hangs as long as for all, and believes a former
primary that is up again. Here each host has its own time, and a server's history decides
(`unitwork.server_identity`): the writable one with the highest timeline, never one below what was seen.
"""

import asyncio
import logging
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import asyncpg

from unitwork.backends.commit_position import Committed
from unitwork.backends.unreachable import cause
from unitwork.errors import DatabaseUnavailable, NotPrimary
from unitwork.server_identity import SERVER_IDENTITY, ServerIdentity

HEAD_START_SECONDS: Final = 0.2
"""Seconds in which the host that was the primary last may answer before the others are asked too."""
IDENTIFY: Final = f"SELECT CASE WHEN NOT pg_is_in_recovery() THEN {SERVER_IDENTITY} END"
"""Query of a server's identity; NULL on a standby."""
INCARNATION: Final = "SELECT concat_ws(' ', pg_postmaster_start_time(), inet_server_addr(), inet_server_port())"
"""Query of what tells one server from all others, and from itself before a restart."""
OTHERS_SECONDS: Final = 0.5
"""Seconds in which the other hosts may answer after the first that did, once a primary is known."""
PRIMARY_WANTED: Final = frozenset({None, "any", "primary", "read-write"})
"""Values of `target_session_attrs` with which the primary is looked for; others are asyncpg's to choose by."""

Place = tuple[str, int]

log = logging.getLogger("unitwork.database")


class Dialled(NamedTuple):
    """A connection, and what its server is: `server` is None if it didn't tell, or is a standby."""

    place: Place
    connection: Any
    standby: bool
    read_only: bool
    server: ServerIdentity | None

    @property
    def writable(self) -> bool:
        return not self.standby and not self.read_only


class Dialer:
    """Opens the connections of one engine; the driver's `async_creator_fn`.

    `places` are the hosts with their ports, `target` the database's address for messages, `seconds` the time that each
    host has. `replaced` are called when another server has become the primary.
    """

    def __init__(self, places: Sequence[Place], target: str, wanted: str | None, seconds: float) -> None:
        self._places = tuple(places)
        self._target = target
        self._wanted = wanted
        self._seconds = seconds
        self._highest: ServerIdentity | None = None
        self._last: Place | None = None
        self._standby_opened = False
        self._open: weakref.WeakSet[Any] = weakref.WeakSet()
        self._late: set[asyncio.Task[Dialled]] = set()
        self.replaced: list[Callable[[], object]] = []
        self.one_server = False
        """True if its connections must all be to one server, as a replica's: its position holds for all of them."""
        self.committed: Committed | None = None
        """Called with the position of each COMMIT over a connection to a primary."""

    async def __call__(self, **options: Any) -> Any:
        """Return a new connection. Raises what asyncpg raises for one host; of several, `DatabaseUnavailable` with each
        one's reason. Raises `NotPrimary` for a server that was the primary once, and for two that both are.
        """
        if self._wanted not in PRIMARY_WANTED:
            return await asyncpg.connect(**options)
        options.pop("target_session_attrs", None)
        if len(self._places) > 1:
            found = await self._choose(options)
        else:
            found = await self._dial(self._places[0] if self._places else None, options)
        if self.one_server:
            await self._check_same(found.connection)
        return self._take(found)

    async def _check_same(self, connection: Any) -> None:
        """Raise `DatabaseUnavailable` if the connection is to another server than those that are open."""
        try:
            connection.incarnation = here = await connection.fetchval(INCARNATION, timeout=self._seconds)
        except BaseException:
            connection.terminate()
            raise
        if any(other.incarnation != here for other in self._open if not other.is_closed()):
            connection.terminate()
            fix = "Name each replica by a URL of its own, that leads to it alone"
            raise DatabaseUnavailable("the address leads to several servers", self._target, fix)

    async def _dial(self, place: Place | None, options: dict[str, Any]) -> Dialled:
        where = {} if place is None or len(self._places) == 1 else {"host": place[0], "port": place[1]}
        connection = await asyncpg.connect(**options | where)
        try:
            standby, server = await self._identity(connection)
        except BaseException:
            connection.terminate()
            raise
        read_only = getattr(connection.get_settings(), "default_transaction_read_only", None) == "on"
        return Dialled(place or ("", 0), connection, standby, read_only, server)

    async def _identity(self, connection: Any) -> tuple[bool, ServerIdentity | None]:
        """Return True for a standby, and a primary's identity; None if it doesn't tell, as a provider's may not."""
        try:
            told = await connection.fetchval(IDENTIFY, timeout=self._seconds)
        except asyncpg.PostgresError as error:
            if connection.is_closed():
                raise
            log.debug("the server doesn't tell its identity: %s", type(error).__name__)
            return getattr(connection.get_settings(), "in_hot_standby", None) == "on", None
        if told is None:
            return True, None
        system, _, timeline = told.partition(" ")
        connection.server = server = ServerIdentity(system, int(timeline, 16))
        return False, server

    async def _choose(self, options: dict[str, Any]) -> Dialled:
        """Ask the last primary, and all others when it is late or isn't it any more; return the one to take."""
        first = self._last  # another dial may change it meanwhile
        asked: dict[Place, asyncio.Task[Dialled]] = {}
        if first is not None:
            asked[first] = self._begin(first, options)
            done, _ = await asyncio.wait(asked.values(), timeout=HEAD_START_SECONDS)
            if done and (found := _result(asked[first])) is not None:
                if found.writable and found.server == self._highest:
                    return found
                found.connection.terminate()
                del asked[first]
        for place in self._places:
            if place not in asked:
                asked[place] = self._begin(place, options)
        return await self._best(asked)

    def _begin(self, place: Place, options: dict[str, Any]) -> "asyncio.Task[Dialled]":
        return asyncio.get_running_loop().create_task(self._dial(place, options), name=f"dial {_shown(place)}")

    async def _best(self, asked: "dict[Place, asyncio.Task[Dialled]]") -> Dialled:
        """Wait until the answer is certain, or the time is up: a newer history is certain at once, and so is the one
        known; after a first answer the other hosts have a while.
        """
        found = list[Dialled]()
        best: Dialled | None = None
        try:
            await self._collect(set(asked.values()), found)
            best = self._elect(found)
        finally:
            for task in asked.values():
                if not task.done():
                    self._leave(task)
                elif (one := _result(task)) is not None and one is not best:
                    one.connection.terminate()
        if best is None:
            raise self._unavailable(asked)
        return best

    async def _collect(self, pending: "set[asyncio.Task[Dialled]]", found: list[Dialled]) -> None:
        """Add what is dialled to `found`."""
        clock = asyncio.get_running_loop().time
        until = clock() + self._seconds
        while pending and not any(self._certain(one) for one in found):
            done, pending = await asyncio.wait(
                pending, timeout=max(until - clock(), 0), return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                break
            first = not found
            found += [one for task in done if (one := _result(task)) is not None]
            if found and first:
                more = self._seconds / len(self._places) if self._highest is None else OTHERS_SECONDS
                until = min(until, clock() + more)

    def _certain(self, one: Dialled) -> bool:
        known = self._highest
        if not one.writable or known is None or one.server is None:
            return False
        return one.server.system == known.system and one.server.timeline >= known.timeline

    def _elect(self, found: list[Dialled]) -> Dialled | None:
        """Return the writable server with the highest timeline. Where there is none, return a standby, unless a primary
        is demanded or was there before: what it answers may be older than what this process has stored.
        """
        writable = [one for one in found if one.writable]
        told = {one.server for one in writable if one.server is not None}
        if len(told) > 1:
            words = "; ".join(f"{_shown(one.place)} {one.server.text}" for one in writable if one.server is not None)
            log.critical(
                "two hosts take writes, which are two histories (system, timeline): %s; stop one of them", words
            )
            if len({server.system for server in told}) > 1:
                raise NotPrimary(f"two hosts of different systems take writes ({words})", self._target)
        if writable:
            return max(writable, key=lambda one: -1 if one.server is None else one.server.timeline)
        if self._highest is None and self._wanted in {None, "any"} and found:
            return found[0]
        if found:
            words = ", ".join(f"{_shown(one.place)} is {'a standby' if one.standby else 'read-only'}" for one in found)
            raise NotPrimary(words, self._target)
        return None

    def _take(self, found: Dialled) -> Any:
        """Return the connection, unless its server's history is over; drop all others if its own is new."""
        server, highest = found.server, self._highest
        if found.standby:
            self._standby_opened = True
        if server is not None and found.writable:
            if highest is not None and server.system == highest.system and server.timeline < highest.timeline:
                found.connection.terminate()
                reason = f"it is on timeline {server.timeline}, and timeline {highest.timeline} has begun elsewhere"
                raise NotPrimary(f"{_shown(found.place)}: {reason}" if found.place[0] else reason, self._target)
            if self._standby_opened or (highest is not None and server != highest):
                self._replace(server, highest)
            self._highest, self._last, self._standby_opened = server, found.place, False
        self._open.add(found.connection)
        if self.committed is not None and not found.standby:
            found.connection.tell_commits(self.committed)
        return found.connection

    def abort_all(self) -> None:
        """Abort every connection that is open, those in use too."""
        for connection in list(self._open):
            if not connection.is_closed():
                _abort(connection)

    def _replace(self, server: ServerIdentity, former: ServerIdentity | None) -> None:
        """Abort what is open at other servers: what is committed there from now on is lost."""
        log.warning("another server is the primary: %s, before %s", server.text, former.text if former else "a standby")
        for connection in list(self._open):
            if connection.server != server and not connection.is_closed():
                _abort(connection)
        for call in self.replaced:
            call()

    def _leave(self, task: "asyncio.Task[Dialled]") -> None:
        """Let a late host's dial end by its own timeout: cancelling the driver half-way would leak futures."""
        self._late.add(task)
        task.add_done_callback(self._drop_late)

    def _drop_late(self, task: "asyncio.Task[Dialled]") -> None:
        self._late.discard(task)
        if not task.cancelled() and task.exception() is None:
            task.result().connection.terminate()

    def _unavailable(self, asked: "dict[Place, asyncio.Task[Dialled]]") -> DatabaseUnavailable:
        reasons, fixes = [], []
        for place, task in asked.items():
            error = task.exception() if task.done() and not task.cancelled() else None
            found = cause(error or TimeoutError())
            reasons.append(f"{_shown(place)}: {found.reason}")
            fixes.append(found.fix)
        return DatabaseUnavailable("; ".join(reasons), self._target, next(filter(None, fixes), ""))


def _result(task: "asyncio.Task[Dialled]") -> Dialled | None:
    """Return what a task that is done has dialled; None if it failed."""
    return None if task.cancelled() or task.exception() is not None else task.result()


def _abort(connection: Any) -> None:
    # Not `terminate`, which is for the one who uses it: to him it looks as if the server had closed it.
    connection._transport.abort()  # noqa: SLF001 - asyncpg's socket has no public name


def _shown(place: Place) -> str:
    return f"{place[0]}:{place[1]}"

"""Backend: the differences of one kind of database, in one stateless object.

`unitwork.backends.registry` returns an engine's backend. A new kind is a subclass, and an entry there.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Final, NamedTuple

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.backends.migrations import Migrations
from unitwork.backends.shielded_task import close_shielded
from unitwork.backends.transaction_events import hook_transactions
from unitwork.errors import DriverError
from unitwork.options import Options
from unitwork.unit import Unit

Listener = Callable[[Connection], None]
CONNECT_ARGUMENTS: Final = "unitwork_connect_args"
"""Attribute of an engine's dialect that holds the connection arguments besides the URL, from `connect_args`."""


class PositionQueries(NamedTuple):
    """Queries of a server's place in its log, as `unitwork.replicas.position` reads it. Each gives NULL where the
    server isn't what it is asked as.
    """

    primary: str
    replica: str


class Backend:
    """Defaults for any database: the behaviour of SQLAlchemy and the driver."""

    names: ClassVar[frozenset[str]] = frozenset()
    """SQLAlchemy's names of its dialects."""
    extra: ClassVar[str | None] = None
    """The extra that installs its driver."""
    definer_functions: ClassVar[bool] = False
    """True if it supports SECURITY DEFINER functions, which run with their owner's rights."""
    one_writer: ClassVar[bool] = False
    """True if one transaction may write at a time; then there are no row locks and isolation levels aren't compared."""
    in_file: ClassVar[bool] = False
    """True if the database is a local file."""
    notifies: ClassVar[bool] = False
    """True if connections can wait for notifications of others (LISTEN)."""
    copies: ClassVar[bool] = False
    """True if it supports COPY."""
    plans_anew: ClassVar[bool] = False
    """True if it caches plans of prepared statements, and has a setting against it."""
    lock_timeout_is_set: ClassVar[bool] = False
    """True if the lock timeout is a setting rather than a part of the statement."""
    says_wait: ClassVar[bool] = False
    """True if the lock timeout is a part of the statement: WAIT, in whole seconds."""
    upserts_by_key: ClassVar[bool] = True
    """False if an upsert reacts to a conflict on any unique key (ON DUPLICATE KEY)."""
    migrations: ClassVar[Migrations] = Migrations()
    """Lock and limits of migrations."""
    probe: ClassVar[str] = "SELECT 1"
    writable: ClassVar[str] = "1"
    """SQL expression that is true if the server takes writes."""
    server_facts_query: ClassVar[str | None] = None
    """SQL text that selects the server's clock, its connection limit, if our role is a superuser, and if TLS is on."""

    def connect_args(self, settings: Options) -> dict[str, Any]:
        """Return the driver's arguments to open a connection, besides the URL."""
        return {}

    position_queries: ClassVar[PositionQueries | None] = None
    """Queries by which replicas are compared with their primary; None if reads can't use replicas."""

    def read_only_arguments(self, arguments: dict[str, Any]) -> None:
        """Make connections by these arguments, from `connect_args`, refuse writes, as a replica may be promoted, and
        lead to one server alone.
        """

    def when_committed(self, engine: Engine, call: Callable[[str | None], object]) -> bool:
        """Call back after each COMMIT of an engine that has opened no connection yet, with its position, or None if it
        isn't known. Return False if its COMMITs don't tell.
        """
        return False

    def abort_all(self, engine: Engine) -> None:
        """Abort all connections of an engine without a message to the server; their users get errors."""

    def when_replaced(self, arguments: dict[str, Any], call: Callable[[], object]) -> None:
        """Call back whenever another server has become the primary of an engine that connects by these arguments, from
        `connect_args`. Never called where the driver alone chooses the server.
        """

    def before_connecting(self, arguments: list[Any], options: dict[str, Any]) -> dict[str, Any]:
        """Prepare for opening a connection; return the driver's options."""
        return options

    def driver_options(self, *, read_only: bool, isolation: str | None, transactional: bool) -> dict[str, Any]:
        """Return the execution options that make the driver begin a unit's transaction without an extra trip."""
        if not transactional:
            return {"isolation_level": "AUTOCOMMIT"}
        return {} if isolation is None else {"isolation_level": isolation}

    def install(self, engine: AsyncEngine, *, begin: Listener, commit: Listener, rollback: Listener) -> None:
        """Call each listener before the operation on a unit's connection, and close discarded connections in order.
        Call once per engine.
        """
        hook_transactions(engine, begin=begin, commit=commit, rollback=rollback)
        close_shielded(engine)

    async def overwrite_deleted(self, engine: AsyncEngine) -> bool:
        """Overwrite deleted data that the database's file or log still holds; return False if a reader prevents it."""
        return True

    def begin(self, connection: Connection, unit: Unit | None) -> None:
        """Send the statements that precede a unit's first; `unit` is None for a connection that works for no unit."""

    def refuse_writes(self, connection: Connection, unit: Unit) -> None:
        """Make the database refuse writes of the unit until `take_writes`. Where it can't, only constructs are
        refused.
        """

    def take_writes(self, connection: Connection, unit: Unit) -> None:
        """Make the database accept writes of the unit again."""

    def takes_no_writes(self, error: DriverError, driver: Any) -> bool:
        """True if the error of a driver's connection means that its server takes no writes, from nobody. `driver` is
        None for a connection that is closed by now.
        """
        return False

    def reports_no_writes(self, driver: Any) -> bool:
        """True if the server has reported by itself, with an earlier answer, that it takes no writes."""
        return False

    def interrupt(self, driver: Any) -> bool:
        """Make the running statement of a driver's connection fail; return False if only its caller's future can be
        cancelled.
        """
        return False

    def abort(self, driver: Any) -> None:
        """Abort the running operation of a driver's connection without a message to the server; its caller gets an
        error.
        """

    def abandon(self, driver: Any) -> None:
        """End the running operation and the transaction of a driver's connection whose caller no longer waits. The
        connection must be closed afterwards.
        """

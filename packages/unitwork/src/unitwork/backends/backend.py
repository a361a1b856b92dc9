"""Backend: what a database does its own way, in one object for each kind. It has no state of its own.

`unitwork.backends.registry` finds the one of an engine. A new kind is a subclass, and an entry there.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.backends.shielded_task import close_shielded
from unitwork.backends.transaction_events import hook_transactions
from unitwork.options import Options
from unitwork.unit import Unit

Listener = Callable[[Connection], None]


class Backend:
    """A database of which nothing else is known: what SQLAlchemy and the driver do by themselves."""

    names: ClassVar[frozenset[str]] = frozenset()
    """What SQLAlchemy calls it."""
    extra: ClassVar[str | None] = None
    """The extra that installs its driver."""
    one_writer: ClassVar[bool] = False
    """One transaction may write at a time; there are no locked rows, and no isolation levels to tell apart."""
    in_file: ClassVar[bool] = False
    """The database is a file of this machine's."""
    notifies: ClassVar[bool] = False
    """Connections can wait for each other's notices (LISTEN)."""
    copies: ClassVar[bool] = False
    """Takes rows by COPY."""
    plans_anew: ClassVar[bool] = False
    """Keeps plans of prepared statements, and can be told not to."""
    lock_timeout_is_set: ClassVar[bool] = False
    """How long a lock is waited for is a setting, not a word of the statement."""
    says_wait: ClassVar[bool] = False
    """How long a lock is waited for is a word of the statement: WAIT, in whole seconds."""
    upserts_by_key: ClassVar[bool] = True
    """False where a conflict is met on any unique key (ON DUPLICATE KEY)."""
    probe: ClassVar[str] = "SELECT 1"
    questions: ClassVar[str | None] = None
    """Asks the server's clock, its connections, whether our role may do everything, and whether TLS is on."""

    def connect_args(self, settings: Options) -> dict[str, Any]:
        """Return what the driver is given to open a connection, besides the URL."""
        return {}

    def before_connecting(self, arguments: list[Any], options: dict[str, Any]) -> dict[str, Any]:
        """Make way for a connection; return the driver's options."""
        return options

    def driver_options(self, *, read_only: bool, isolation: str | None, transactional: bool) -> dict[str, Any]:
        """Return the execution options by which the driver begins a unit's transaction without a trip."""
        if not transactional:
            return {"isolation_level": "AUTOCOMMIT"}
        return {} if isolation is None else {"isolation_level": isolation}

    def install(self, engine: AsyncEngine, *, begin: Listener, commit: Listener, rollback: Listener) -> None:
        """Have each told before it happens on a unit's connection, and connections that are given up closed in order.
        Once for each engine.
        """
        hook_transactions(engine, begin=begin, commit=commit, rollback=rollback)
        close_shielded(engine)

    def begin(self, connection: Connection, unit: Unit | None) -> None:
        """Send what goes before a unit's first statement; None is a connection that works for no unit."""

    def refuse_writes(self, connection: Connection, unit: Unit) -> None:
        """Have the database refuse writes of the unit, until `take_writes`. Where it can't, only constructs are
        refused.
        """

    def take_writes(self, connection: Connection, unit: Unit) -> None:
        """Have the database take writes of the unit again."""

    def interrupt(self, driver: Any) -> bool:
        """Have the statement that a driver's connection is at fail; False where only its caller's future can be
        cancelled.
        """
        return False

    def abort(self, driver: Any) -> None:
        """End whatever a driver's connection is at, without a word to the server; whoever waits for it is told."""

    def abandon(self, connection: Connection) -> None:
        """End what the connection is at, and its transaction, for a caller who waits no longer."""

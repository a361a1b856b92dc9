"""Connection errors: there is no engine, or no connection."""

from unitwork.errors.root import DatabaseError


class LifetimeError(DatabaseError):
    """The container, or `Database`, is not in the state the call needs."""


class EngineNotStarted(LifetimeError):
    """The engine is used outside the block that opens it: that of a `Database`, or of a container's `running()`."""

    def __str__(self) -> str:
        return (
            "the engine is not started. Do this inside `async with running(container):`, or where there is no "
            "container inside `async with Database(…):`."
        )


class ContainerClosed(LifetimeError):
    """The container was closed; one container is one lifetime. `closing` is True while it is still being closed, when
    nothing new may begin.
    """

    def __init__(self, *, closing: bool = False) -> None:
        self.closing = closing
        super().__init__(closing)

    def __str__(self) -> str:
        state = "is being closed, and nothing new begins in it" if self.closing else "was closed"
        return f"this container {state}; it can't be entered again. Build a new one: `running(Container())`."


class EngineBelongsToAnotherLoop(LifetimeError):
    """The engine's connections belong to the event loop they were opened in."""

    def __str__(self) -> str:
        return (
            "this container runs in another event loop than this code, which may have none, and its connections can't "
            "leave it. Open a container, or a `Database`, in each loop: `async with running() as container:`; from a "
            "thread, `anyio.from_thread.run` runs a function in the container's loop."
        )


class EngineBelongsToAnotherProcess(LifetimeError):
    """The engine was inherited by a fork; its sockets are the parent's."""

    def __init__(self, owner: int, user: int) -> None:
        self.owner = owner
        self.user = user
        super().__init__(owner, user)

    def __str__(self) -> str:
        return (
            f"this container was opened by process {self.owner} and this is process {self.user}, forked from it; the "
            "connections are the parent's. Open one after the fork: `async with running() as container:`."
        )


class DriverNotInstalled(DatabaseError):
    """The database URL needs a driver that isn't installed."""

    def __init__(self, driver: str, extra: str | None) -> None:
        self.driver = driver
        self.extra = extra
        super().__init__(driver, extra)

    def __str__(self) -> str:
        package = f"unitwork[{self.extra}]" if self.extra else self.driver
        return f"the driver '{self.driver}' is not installed. Install it with: pip install '{package}'"


class Unavailable(DatabaseError):
    """The database can't serve the unit now. Nothing of it was stored; the same call may succeed later."""

    retry_after = 1.0
    """Seconds after which a new attempt makes sense."""


class DatabaseUnavailable(Unavailable):
    """No connection can be opened: refused, starting up, shutting down, unreachable, or credentials refused. `fix` is
    the remedy; empty if it isn't known.
    """

    def __init__(self, reason: str, target: str, fix: str = "") -> None:
        self.reason = reason
        self.target = target
        self.fix = fix
        super().__init__(reason, target, fix)

    @property
    def fact(self) -> str:
        """Return the fact alone, without the fix."""
        return f"the database at {self.target} can't be reached: {self.reason}"

    def __str__(self) -> str:
        return f"{self.fact}. {self.fix}." if self.fix else self.fact


class NotPrimary(Unavailable):
    """The server takes no writes: it is a standby, was demoted, or is a cluster's node without a majority. The pool has
    left it, and the next unit connects anew. `reason` is the server's own text, `target` the address without
    credentials.
    """

    def __init__(self, reason: str, target: str, *, sqlstate: str | None = None) -> None:
        self.reason = reason
        self.target = target
        self.sqlstate = sqlstate
        super().__init__(reason, target, sqlstate)

    def __str__(self) -> str:
        return (
            f"the server at {self.target} takes no writes: {self.reason}. Its connections were dropped; the next unit "
            "connects anew. If it isn't to be the primary, look where the address in `url` leads."
        )


class PoolTimeout(Unavailable):
    """Every connection of the pool stayed in use for the whole pool timeout; `holders` describes the units that hold
    them.
    """

    def __init__(self, *, size: int, timeout: float, holders: tuple[str, ...] = ()) -> None:
        self.size = size
        self.timeout = timeout
        self.holders = holders
        super().__init__(size, timeout, holders)

    def __str__(self) -> str:
        held = f" Held by: {'; '.join(self.holders)}." if self.holders else ""
        return (
            f"no connection became free within {self.timeout:g} s; all {self.size} are in use.{held} Shorten the "
            "transactions that hold them, or raise `pool_size`."
        )


class Overloaded(Unavailable):
    """The work's lane has its share of the pool in use, and none of it became free in the time that it waits."""

    def __init__(self, lane: str, waited: float, retry_after: float) -> None:
        self.lane = lane
        self.waited = waited
        self.retry_after = max(retry_after, 1.0)
        super().__init__(lane, waited, retry_after)

    def __str__(self) -> str:
        return (
            f"no connection became free for '{self.lane}' within {self.waited:.2g} s: its share of the pool is in use. "
            "Try again later; shorten its transactions, or raise `pool_size`."
        )


class PoolDeadlock(Unavailable):
    """Every connection is held by a unit that itself waits for a second one, so none will become free."""

    def __init__(self, *, outer: str, inner: str, size: int) -> None:
        self.outer = outer
        self.inner = inner
        self.size = size
        super().__init__(outer, inner, size)

    def __str__(self) -> str:
        return (
            f"the transaction opened at {self.outer} holds a connection while the one at {self.inner} waits for a "
            f"second, and all {self.size} connections are held that way. Do the inner work in the outer transaction "
            "(Propagation.REQUIRED), or raise `pool_size`."
        )


class UnknownRevision(DatabaseError):
    """There is no migration of this name, or no path to it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return f"the schema can't be moved: {self.reason}. The newest revision is called 'head'."


class UpgradeInProgress(Unavailable):
    """Another migration of the database was still running after `waited` seconds. `holder` describes its connection;
    None if it isn't known.
    """

    def __init__(self, waited: float, holder: str | None) -> None:
        self.waited = waited
        self.holder = holder
        super().__init__(waited, holder)

    def __str__(self) -> str:
        who = f": {self.holder}" if self.holder else ""
        return (
            f"another upgrade of this database is running{who}; waited {self.waited:.0f} s for it, and nothing was "
            "changed. Run this again once it has ended; end its connection if its program is gone, or raise "
            "`migration_wait`."
        )


class MigrationBlocked(Unavailable):
    """Others used a table for `waited` seconds, in which the migration was tried `attempts` times. `blockers` describes
    their connections; None if they aren't known. `rolled_back` is False where DDL commits, and earlier statements of
    the migration are in force.
    """

    def __init__(self, waited: float, attempts: int, blockers: str | None, *, rolled_back: bool) -> None:
        self.waited = waited
        self.attempts = attempts
        self.blockers = blockers
        self.rolled_back = rolled_back
        super().__init__(waited, attempts, blockers)

    def __str__(self) -> str:
        who = f" by {self.blockers}" if self.blockers else ""
        state = "nothing was changed" if self.rolled_back else "statements before it are in force"
        return (
            f"a table that the migration changes is in use{who}: it got no lock in {self.attempts} attempts within "
            f"{self.waited:.0f} s; {state}. End those transactions or wait for them, then run this again; or raise "
            "`migration_wait`."
        )


class NodeLeaseLost(Unavailable):
    """No new id can be made: the process holds no valid lease of a node. `reason` is the cause."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return (
            f"no id can be made, as this process holds no node: {self.reason}. The next transaction that may write "
            "leases one; where the database has no room for that, set `node_id`."
        )


class NodesExhausted(Unavailable):
    """All nodes are leased, and none became free in time."""

    def __init__(self, nodes: int, waited: float) -> None:
        self.nodes = nodes
        self.waited = waited
        super().__init__(nodes, waited)

    def __str__(self) -> str:
        return (
            f"all {self.nodes} nodes are leased, and none became free within {self.waited:g} s. "
            "Stop processes that aren't needed, or wait until the leases of those that crashed have run out."
        )

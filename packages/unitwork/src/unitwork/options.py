"""Options: how a database is opened, and the limits of its pool, its statements and its monitor.

`Options` is the protocol that the library reads; a host's own settings satisfy it by having the attributes.
`DatabaseOptions` is for hosts that have none. All durations are seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from typing import Any, Final, Literal, Protocol

from sqlalchemy import URL

from unitwork.urls.database_url import async_url, masked
from unitwork.urls.replica_urls import replica_urls


class MigrationOptions(Protocol):
    """Limits of a migration, and the table of its revision. All durations are seconds."""

    @property
    def migration_wait(self) -> float: ...

    @property
    def migration_lock_timeout(self) -> float: ...

    @property
    def migration_statement_timeout(self) -> float | None: ...

    @property
    def version_table(self) -> str: ...


class ReplicaOptions(Protocol):
    """Replicas that reads may use, and the limits of their use. All durations are seconds."""

    @property
    def replica_urls(self) -> Sequence[URL]:
        """URLs with an async driver, as returned by `async_url`; empty for none."""

    @property
    def replica_max_lag(self) -> float: ...

    @property
    def replica_wait(self) -> float: ...

    @property
    def replica_poll_interval(self) -> float: ...


class Options(MigrationOptions, ReplicaOptions, Protocol):
    """Settings of one database: hashable and immutable, because the monitor caches what it derives from them by
    identity.
    """

    @property
    def url(self) -> URL:
        """URL with an async driver, as returned by `async_url`."""

    @property
    def application_name(self) -> str:
        """Name under which the server lists the connections."""

    @property
    def pool_size(self) -> int: ...

    @property
    def max_overflow(self) -> int: ...

    @property
    def pool_timeout(self) -> float: ...

    @property
    def pool_idle_timeout(self) -> float: ...

    @property
    def pool_recycle(self) -> float: ...

    @property
    def ping_after_idle(self) -> float: ...

    @property
    def connect_timeout(self) -> float: ...

    @property
    def statement_timeout(self) -> float | None: ...

    @property
    def cancel_grace(self) -> float: ...

    @property
    def drain_timeout(self) -> float: ...

    @property
    def monitor(self) -> bool: ...

    @property
    def slow_sql_threshold(self) -> float | None: ...

    @property
    def session_leak_threshold(self) -> float | None: ...

    @property
    def idle_in_transaction_threshold(self) -> float | None: ...

    @property
    def lock_wait_threshold(self) -> float | None: ...

    @property
    def repeated_sql_threshold(self) -> int | None: ...

    @property
    def budgets(self) -> Literal["report", "raise"]: ...

    @property
    def traces(self) -> bool: ...

    @property
    def pooler(self) -> Literal["none", "pgbouncer"]: ...


@dataclass(frozen=True, repr=False)
class DatabaseOptions:
    """Options for a host without settings of its own. Raises ValueError for a URL that can't be read, as `async_url`
    does, for a number that is out of range, and for `traces` without OpenTelemetry.
    """

    address: URL | str
    """Database URL in any spelling: PostgreSQL, MySQL, MariaDB, SQLite (a file) or Oracle. The async driver is filled
    in.
    """
    username: str | None = None
    """Replaces the URL's user; needs no escaping."""
    password: str | None = None
    """Replaces the URL's password; needs no escaping."""
    application_name: str = "unitwork"
    """Name under which the server lists the connections."""
    pool_size: int = 5
    """Number of connections that each process keeps open."""
    max_overflow: int = 10
    """Maximum number of connections opened above `pool_size` under load, and closed when they have idled."""
    pool_idle_timeout: float = 300.0
    """Idle seconds after which a connection above `pool_size` is closed; 0 closes it as soon as it is returned."""
    pool_timeout: float = 3.0
    """Seconds a unit waits for a connection before `PoolTimeout`."""
    pool_recycle: float = 1800.0
    """Age in seconds after which a connection is replaced at its next checkout."""
    ping_after_idle: float = 30.0
    """Idle time in seconds after which a connection is pinged at its next checkout, at one round trip."""
    connect_timeout: float = 5.0
    """Seconds that opening one connection may take before `DatabaseUnavailable`."""
    statement_timeout: float | None = 30.0
    """Seconds after which PostgreSQL cancels a statement (`StatementTimeout`), and SQLite stops waiting for its one
    writer. None keeps the server's own setting.
    """
    cancel_grace: float = 0.25
    """Seconds that a cancelled statement, COMMIT or ROLLBACK gets to finish, so that its connection can be kept."""
    drain_timeout: float = 10.0
    """Seconds that open units may continue after the database is asked to close; then they are cancelled."""
    monitor: bool = True
    """False records nothing. The thresholds below may be changed at run time; None turns a report off."""
    slow_sql_threshold: float | None = 0.5
    session_leak_threshold: float | None = 60.0
    idle_in_transaction_threshold: float | None = 5.0
    lock_wait_threshold: float | None = 1.0
    repeated_sql_threshold: int | None = 10
    budgets: Literal["report", "raise"] = "report"
    """Reaction to an exceeded `budget`: a report and a count, or `BudgetExceeded`, as in tests."""
    traces: bool = False
    """True creates an OpenTelemetry span for each transaction and statement; needs the extra `otel`."""
    pooler: Literal["none", "pgbouncer"] = "none"
    """`pgbouncer` (transaction pooling): no session settings are sent, and prepared statements are unnamed."""
    migration_wait: float = 300.0
    """Seconds that a migration waits for another one (`UpgradeInProgress`), and tries to get its tables' locks
    (`MigrationBlocked`).
    """
    migration_lock_timeout: float = 0.3
    """Seconds that one attempt of a migration waits for a lock; others queue behind it meanwhile. Whole seconds on
    MariaDB and MySQL.
    """
    migration_statement_timeout: float | None = None
    """Seconds after which a statement of a migration is cancelled; None for no limit. `statement_timeout` doesn't
    apply to migrations.
    """
    version_table: str = "alembic_version"
    """Name of Alembic's table in this database; another one where several programs migrate tables of their own."""

    replicas: Sequence[URL | str] = ()
    """URLs of PostgreSQL's streaming replicas, which read-only transactions and single reads may use. Each has the
    primary's user and password, unless it names its own.
    """
    replica_max_lag: float = 5.0
    """Greatest age in seconds of what a read on a replica shows; 30 at most. A replica that lags by more isn't used."""
    replica_wait: float = 0.05
    """Seconds that a read waits for a replica to have what the reader must see, before it uses the primary. 0: none."""
    replica_poll_interval: float = 0.1
    """Seconds between two questions after the position of each server, in the background."""

    url: URL = field(init=False, compare=False)
    """URL with its async driver and credentials."""
    replica_urls: tuple[URL, ...] = field(init=False, compare=False)
    """URLs of the replicas likewise."""

    def __post_init__(self) -> None:
        url = async_url(self.address)
        given: dict[str, Any] = {"username": self.username, "password": self.password}
        if url.get_backend_name() != "sqlite":
            url = url.set(**{name: value for name, value in given.items() if value is not None})
        object.__setattr__(self, "url", url)
        object.__setattr__(self, "replicas", tuple(self.replicas))
        object.__setattr__(self, "replica_urls", replica_urls(self.replicas, url))
        for name, minimum in _MINIMUMS.items():
            value = getattr(self, name)
            if value is not None and value < minimum:
                msg = f"{name} is at least {minimum:g}: {value:g}"
                raise ValueError(msg)
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and value <= 0:
                msg = f"{name} is above 0: {value:g}"
                raise ValueError(msg)
        if self.replica_max_lag > MAX_LAG_SECONDS:
            msg = f"replica_max_lag is at most {MAX_LAG_SECONDS:g}: {self.replica_max_lag:g}"
            raise ValueError(msg)
        if self.traces and find_spec("opentelemetry") is None:
            msg = "OpenTelemetry isn't installed; install it with: pip install 'unitwork[otel]'"
            raise ValueError(msg)

    def __repr__(self) -> str:
        """Return the masked URL and the options that differ from the defaults."""
        others = (
            f"{one.name}={self._shown(one.name)}"
            for one in fields(self)
            if one.name not in {"address", "password", "url", "replica_urls"} and getattr(self, one.name) != one.default
        )
        return f"DatabaseOptions({', '.join((repr(masked(self.url)), *others))})"

    def _shown(self, name: str) -> str:
        """Return a value without a password: URLs are masked."""
        return repr([masked(url) for url in self.replica_urls] if name == "replicas" else getattr(self, name))


MAX_LAG_SECONDS: Final = 30.0
"""Largest `replica_max_lag`: half the time for which a client's position is heeded."""
_MINIMUMS: Final = {
    "replica_wait": 0,
    "pool_size": 1,
    "max_overflow": 0,
    "pool_idle_timeout": 0,
    "ping_after_idle": 0,
    "drain_timeout": 0,
    "repeated_sql_threshold": 2,
}
_POSITIVE: Final = (
    *("replica_max_lag", "replica_poll_interval"),
    *("migration_wait", "migration_lock_timeout", "migration_statement_timeout"),
    *("pool_timeout", "pool_recycle", "connect_timeout", "statement_timeout", "cancel_grace", "slow_sql_threshold"),
    *("session_leak_threshold", "idle_in_transaction_threshold", "lock_wait_threshold"),
)

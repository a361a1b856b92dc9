"""Options: how a database is opened, and how its pool, its statements and its monitor are bounded.

`Options` is what the library reads; a host's own settings satisfy it by having the attributes. `DatabaseOptions` is for
hosts that have none. All durations are seconds.
"""

from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from typing import Any, Final, Literal, Protocol

from sqlalchemy import URL

from unitwork.urls.database_url import async_url, masked


class Options(Protocol):
    """Hashable, and never changed: the monitor keeps what it derives from them by identity."""

    @property
    def url(self) -> URL:
        """With an async driver, as `async_url` gives it."""

    @property
    def application_name(self) -> str:
        """What the server lists the connections under."""

    @property
    def pool_size(self) -> int: ...

    @property
    def max_overflow(self) -> int: ...

    @property
    def pool_timeout(self) -> float: ...

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
    """PostgreSQL, MySQL, MariaDB, SQLite (a file) or Oracle, in any spelling; the async driver is put in."""
    username: str | None = None
    """Replaces the URL's user; needs no escaping."""
    password: str | None = None
    """Replaces the URL's password; needs no escaping."""
    application_name: str = "unitwork"
    """What the server lists the connections under."""
    pool_size: int = 5
    """Connections kept open by each process."""
    max_overflow: int = 10
    """Connections opened above `pool_size` under load, and closed again."""
    pool_timeout: float = 3.0
    """How long a unit waits for a connection before `PoolTimeout`."""
    pool_recycle: float = 1800.0
    """A connection older than this is replaced when next taken."""
    ping_after_idle: float = 30.0
    """A connection that idled longer is checked when next taken, at one round trip; others are not."""
    connect_timeout: float = 5.0
    """How long opening one connection may take before `DatabaseUnavailable`."""
    statement_timeout: float | None = 30.0
    """PostgreSQL ends a longer statement itself (`StatementTimeout`); SQLite waits this long for its one writer. None
    leaves the server's own setting.
    """
    cancel_grace: float = 0.25
    """How long a cancelled statement, COMMIT or ROLLBACK may take to its own end, so that its connection is kept."""
    drain_timeout: float = 10.0
    """How long open units may go on when the database is closed; then they are cancelled."""
    monitor: bool = True
    """False records nothing; the thresholds below may be changed while it runs, and None reports nothing."""
    slow_sql_threshold: float | None = 0.5
    session_leak_threshold: float | None = 60.0
    idle_in_transaction_threshold: float | None = 5.0
    lock_wait_threshold: float | None = 1.0
    repeated_sql_threshold: int | None = 10
    budgets: Literal["report", "raise"] = "report"
    """What becomes of an exceeded `budget`: a report and a count, or, as in tests, `BudgetExceeded`."""
    traces: bool = False
    """True gives OpenTelemetry a span for each transaction and statement; needs the extra `otel`."""
    pooler: Literal["none", "pgbouncer"] = "none"
    """`pgbouncer` (transaction pooling): no session settings are sent, and no statement outlives its transaction by
    name.
    """

    url: URL = field(init=False, compare=False)
    """With its async driver and credentials."""

    def __post_init__(self) -> None:
        url = async_url(self.address)
        given: dict[str, Any] = {"username": self.username, "password": self.password}
        if url.get_backend_name() != "sqlite":
            url = url.set(**{name: value for name, value in given.items() if value is not None})
        object.__setattr__(self, "url", url)
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                msg = f"{name} is at least {least:g}: {value:g}"
                raise ValueError(msg)
        for name in _ABOVE_ZERO:
            value = getattr(self, name)
            if value is not None and value <= 0:
                msg = f"{name} is above 0: {value:g}"
                raise ValueError(msg)
        if self.traces and find_spec("opentelemetry") is None:
            msg = "OpenTelemetry isn't installed; install it with: pip install 'unitwork[otel]'"
            raise ValueError(msg)

    def __repr__(self) -> str:
        """The URL without what may be secret, and what differs from the defaults."""
        others = (
            f"{one.name}={getattr(self, one.name)!r}"
            for one in fields(self)
            if one.name not in {"address", "password", "url"} and getattr(self, one.name) != one.default
        )
        return f"DatabaseOptions({', '.join((repr(masked(self.url)), *others))})"


_LEAST: Final = {
    "pool_size": 1,
    "max_overflow": 0,
    "ping_after_idle": 0,
    "drain_timeout": 0,
    "repeated_sql_threshold": 2,
}
_ABOVE_ZERO: Final = (
    *("pool_timeout", "pool_recycle", "connect_timeout", "statement_timeout", "cancel_grace", "slow_sql_threshold"),
    *("session_leak_threshold", "idle_in_transaction_threshold", "lock_wait_threshold"),
)

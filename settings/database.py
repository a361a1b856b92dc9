"""The section `DATABASE__…`: the database, and the limits of its pool and statements."""

import re
from importlib.util import find_spec
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode
from sqlalchemy import URL

from unitwork import async_url, masked, replica_urls

PREFIX: Final = "GATEHOUSE_DATABASE__"


def as_variables(text: str) -> str:
    """Replace names of the library's options in a message by the service's variables ("raise `pool_size`"), and
    Alembic's command by the service's own.
    """

    def variable(found: re.Match[str]) -> str:
        name, value = found.groups()
        if name == "url":
            return "DATABASE_URL"
        if name == "node_id":
            return "GATEHOUSE_NODE_ID"
        return f"{PREFIX}{name.upper()}{value}" if name in DatabaseSettings.model_fields else found[0]

    return re.sub(r"`(\w+)((?:=\w+)?)`", variable, text.replace("`alembic upgrade head`", "gatehouse db upgrade"))


def _usable(text: object) -> URL:
    try:
        return async_url(text)  # type: ignore[arg-type]  # it refuses other types
    except ValueError as error:
        raise ValueError(as_variables(str(error))) from None


DatabaseURL = Annotated[
    URL,
    NoDecode,
    BeforeValidator(_usable),
    PlainSerializer(lambda url: masked(url), return_type=str),
]


def _each_usable(text: object) -> tuple[URL, ...]:
    """Return the URLs of a list, or of a text that separates them by commas or blanks."""
    if isinstance(text, str):
        text = [part for part in re.split(r"[\s,]+(?=\w+(?:\+\w+)?://)|[\s,]+$", text) if part]
    if not isinstance(text, list | tuple):
        msg = "name the replicas' URLs, separated by commas"
        raise ValueError(msg)  # noqa: TRY004 - pydantic makes a ValueError a message
    return tuple(_usable(one) for one in text)


ReplicaURLs = Annotated[
    tuple[URL, ...],
    NoDecode,
    BeforeValidator(_each_usable),
    PlainSerializer(lambda urls: [masked(url) for url in urls], return_type=list[str]),
]


class DatabaseSettings(BaseModel):
    """The database and its limits. All durations are in seconds."""

    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    url: DatabaseURL = Field(default_factory=lambda: async_url("sqlite:///var/gatehouse.db"))
    """URL of PostgreSQL, MySQL, MariaDB, SQLite (a file) or Oracle; the driver may be omitted."""
    username: str | None = None
    """Replaces the user in the URL; needs no escaping."""
    password: SecretStr | None = None
    """Replaces the password in the URL; needs no escaping. May be a file in the secrets directory."""
    pool_size: int = Field(default=5, ge=1, le=1000)
    """Number of connections that each process keeps open."""
    max_overflow: int = Field(default=10, ge=0, le=1000)
    """Number of connections opened above `pool_size` under load, and closed when they have idled."""
    pool_idle_timeout: float = Field(default=300.0, ge=0)
    """A connection above `pool_size` is closed when it has idled for so long; with 0 as soon as it is returned."""
    pool_timeout: float = Field(default=3.0, gt=0)
    """Maximum wait for a connection before `PoolTimeout`."""
    pool_recycle: float = Field(default=1800.0, gt=0)
    """A connection older than this is replaced when it is next taken."""
    ping_after_idle: float = Field(default=30.0, ge=0)
    """A connection idle for longer is checked when it is next taken, which takes one round trip; others are not."""
    connect_timeout: float = Field(default=5.0, gt=0)
    """Maximum time for opening a connection before `DatabaseUnavailable`."""
    statement_timeout: float | None = Field(default=30.0, gt=0)
    """Maximum duration of a statement on PostgreSQL (`StatementTimeout`), and maximum wait for the write lock on
    SQLite. None keeps the server's own setting.
    """
    cancel_grace: float = Field(default=0.25, gt=0)
    """Time that a cancelled statement, COMMIT or ROLLBACK gets to finish, so that its connection stays usable."""
    drain_timeout: float = Field(default=10.0, ge=0)
    """Time that open units get to finish on shutdown before they are cancelled. Two seconds later everything is closed.
    """
    monitor: bool = True
    """Enables the monitor; the thresholds below may be changed while it runs. A threshold of None disables its report.
    """
    slow_sql_threshold: float | None = Field(default=0.5, gt=0)
    """Minimum duration of statements that are reported, including failed and cancelled ones."""
    session_leak_threshold: float | None = Field(default=60.0, gt=0)
    """Minimum time of holding a connection after which a unit is reported, with the lines that opened it."""
    idle_in_transaction_threshold: float | None = Field(default=5.0, gt=0)
    """Minimum time without a statement after which a transaction is reported, with the line at which it waits."""
    lock_wait_threshold: float | None = Field(default=1.0, gt=0)
    """Minimum duration after which a statement that waits for a lock is reported, with the lock's holder. PostgreSQL
    only, and not behind a transaction pooler, which changes server processes.
    """
    repeated_sql_threshold: int | None = Field(default=10, ge=2)
    """Number of reads of one thing from one line, in one transaction or request, that is reported (N+1)."""
    budgets: Literal["report", "raise"] = "report"
    """Effect of an exceeded `budget`: a report and a count, or `BudgetExceeded`, as in tests."""
    traces: bool = False
    """Export a span to OpenTelemetry for each transaction and statement; needs the extra `otel`."""
    pooler: Literal["none", "pgbouncer"] = "none"
    """`pgbouncer` (transaction pooling): sends no session settings, and uses no prepared statement beyond its
    transaction.
    """
    migration_wait: float = Field(default=300.0, gt=0)
    """Maximum time that `gatehouse db upgrade` waits for another upgrade, and tries to get the locks of its tables."""
    migration_lock_timeout: float = Field(default=0.3, gt=0)
    """Maximum wait of one attempt of an upgrade for a lock. Requests queue behind it meanwhile; then it is rolled back
    and tried again later. Whole seconds on MariaDB and MySQL.
    """
    migration_statement_timeout: float | None = Field(default=None, gt=0)
    """Maximum duration of a statement of an upgrade; None for no limit. `STATEMENT_TIMEOUT` doesn't apply to it."""
    replica_urls: ReplicaURLs = ()
    """URLs of PostgreSQL's streaming replicas, separated by commas. Reads of GET requests, read-only transactions and
    single reads outside a transaction may use them; each has the primary's user and password unless it names others.
    """
    replica_max_lag: float = Field(default=5.0, gt=0, le=30)
    """Maximum age of what a read on a replica shows. A replica that lags by more isn't used."""
    replica_wait: float = Field(default=0.05, ge=0)
    """Maximum wait of a read for a replica to have what its reader has stored, before it uses the primary."""
    replica_poll_interval: float = Field(default=0.1, gt=0)
    """Interval of the questions after each server's position, in the background."""
    version_table: str = Field(default="alembic_version", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    """Name of the table that holds the schema's revision, for a database that other programs migrate too."""

    @property
    def application_name(self) -> str:
        """The name under which the server lists the connections."""
        return "gatehouse"

    @field_validator("replica_urls")
    @classmethod
    def _replicas_of_the_database(cls, urls: tuple[URL, ...], info: ValidationInfo) -> tuple[URL, ...]:
        if "url" in info.data:
            replica_urls(urls, info.data["url"])
        return urls

    @field_validator("traces")
    @classmethod
    def _traces_installed(cls, traces: bool) -> bool:
        if traces and find_spec("opentelemetry") is None:
            msg = "OpenTelemetry isn't installed; install the extra: pip install '.[otel]' in the checkout"
            raise ValueError(msg)
        return traces

    @model_validator(mode="after")
    def _credentials_into_url(self) -> Self:
        parts: dict[str, Any] = {}
        if self.username is not None:
            parts["username"] = self.username
        if self.password is not None:
            parts["password"] = self.password.get_secret_value()
        if parts and not self.embedded:
            object.__setattr__(self, "url", self.url.set(**parts))
        object.__setattr__(self, "replica_urls", replica_urls(self.replica_urls, self.url))
        return self

    @property
    def embedded(self) -> bool:
        """True if the database is a SQLite file on this machine."""
        return self.url.get_backend_name() == "sqlite"

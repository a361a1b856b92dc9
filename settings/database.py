"""The section `DATABASE__…`: which database, and how its pool and its statements are bounded."""

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
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode
from sqlalchemy import URL

from unitwork import async_url, masked

PREFIX: Final = "GATEHOUSE_DATABASE__"


def as_variables(text: str) -> str:
    """The text with the variables that set them in place of the library's options ("raise `pool_size`"), and the
    service's own command in place of Alembic's.
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
        return async_url(text)  # type: ignore[arg-type]  # it refuses what is no text
    except ValueError as error:
        raise ValueError(as_variables(str(error))) from None


DatabaseURL = Annotated[
    URL,
    NoDecode,
    BeforeValidator(_usable),
    PlainSerializer(lambda url: masked(url), return_type=str),
]


class DatabaseSettings(BaseModel):
    """All durations are seconds."""

    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    url: DatabaseURL = Field(default_factory=lambda: async_url("sqlite:///var/gatehouse.db"))
    """PostgreSQL, MySQL, MariaDB, SQLite (a file) or Oracle, in any spelling; the async driver is put in."""
    username: str | None = None
    """Replaces the URL's user; needs no escaping."""
    password: SecretStr | None = None
    """Replaces the URL's password; needs no escaping. A secrets directory may hold it as a file."""
    pool_size: int = Field(default=5, ge=1, le=1000)
    """Connections kept open by each process."""
    max_overflow: int = Field(default=10, ge=0, le=1000)
    """Connections opened above `pool_size` under load, and closed again."""
    pool_timeout: float = Field(default=3.0, gt=0)
    """How long a unit waits for a connection before `PoolTimeout`."""
    pool_recycle: float = Field(default=1800.0, gt=0)
    """A connection older than this is replaced when next taken."""
    ping_after_idle: float = Field(default=30.0, ge=0)
    """A connection that idled longer is checked when next taken, at one round trip; others are not."""
    connect_timeout: float = Field(default=5.0, gt=0)
    """How long opening one connection may take before `DatabaseUnavailable`."""
    statement_timeout: float | None = Field(default=30.0, gt=0)
    """PostgreSQL ends a longer statement itself (`StatementTimeout`); SQLite waits this long at most for
    its one writer. None leaves the server's own setting."""
    cancel_grace: float = Field(default=0.25, gt=0)
    """How long a cancelled statement, COMMIT or ROLLBACK may take to its own end, so that its connection is kept."""
    drain_timeout: float = Field(default=10.0, ge=0)
    """How long open units may go on when `running()` is left, or the server told to stop; then they are cancelled.
    Two seconds later everything is closed."""
    monitor: bool = True
    """Whether the sessions are watched; the thresholds below may be changed while it runs. None reports nothing."""
    slow_sql_threshold: float | None = Field(default=0.5, gt=0)
    """A statement that takes as long is reported, one that failed or was cancelled too."""
    session_leak_threshold: float | None = Field(default=60.0, gt=0)
    """A unit that holds its connection as long is reported, with the lines that opened it."""
    idle_in_transaction_threshold: float | None = Field(default=5.0, gt=0)
    """A transaction that sends nothing for as long is reported, with the line that awaits."""
    lock_wait_threshold: float | None = Field(default=1.0, gt=0)
    """A statement that has run as long and waits for a lock is reported, with whoever holds it. On PostgreSQL, and not
    through a transaction pooler, which mixes up whose process is whose.
    """
    repeated_sql_threshold: int | None = Field(default=10, ge=2)
    """One thing read as often from one line, in one transaction or request, is reported (N+1)."""
    budgets: Literal["report", "raise"] = "report"
    """What becomes of an exceeded `budget`: a report and a count, or, as in tests, `BudgetExceeded`."""
    traces: bool = False
    """Whether OpenTelemetry gets a span for each transaction and statement; needs the extra `otel`."""
    pooler: Literal["none", "pgbouncer"] = "none"
    """`pgbouncer` (transaction pooling): no session settings are sent and no statement outlives its
    transaction by name."""

    @property
    def application_name(self) -> str:
        """What the server lists the connections under."""
        return "gatehouse"

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
        return self

    @property
    def embedded(self) -> bool:
        """Whether the database is a SQLite file of this machine."""
        return self.url.get_backend_name() == "sqlite"

"""The section `WORKER__…`: the broker, and how long a task may take."""

from datetime import timedelta
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from settings.duration import Duration


class WorkerSettings(BaseModel):
    """All durations are seconds, or ISO 8601 (`P30D`) where days are usual."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)

    broker_url: SecretStr | None = None
    """`redis://…`, `amqp://…`, or another of Celery's. Without it a SQLite file under `VAR_DIR`, which needs nothing
    installed, and which all processes of one machine share."""
    results_url: SecretStr | None = None
    """Where what periodic tasks return is kept for a day. Without it the broker, where that is Redis, else a SQLite
    file under `VAR_DIR`."""
    queue: str = Field(default="gatehouse", pattern=r"^[A-Za-z0-9._-]{1,100}$")
    pool: Literal["prefork", "threads", "solo"] = "prefork"
    """Processes, threads, or neither."""
    concurrency: int = Field(default=2, ge=1, le=1000)
    """Processes or threads. Each process has a pool of connections of its own."""
    soft_time_limit: float = Field(default=300.0, gt=0)
    """After this time a task's unit is cancelled and rolled back."""
    hard_time_limit: float = Field(default=330.0, gt=0)
    """After this time its process is killed (prefork only)."""
    visibility_timeout: float = Field(default=3600.0, gt=0)
    """After this time Redis gives a task that was taken, and not acknowledged, to another worker."""
    retain_deleted_users: Duration = Field(default=timedelta(days=30), ge=timedelta(0))
    """How long a soft-deleted account can be restored; then it is purged."""
    retain_tokens: Duration = Field(default=timedelta(days=7), ge=timedelta(0))
    """How long a token is kept after it has expired."""
    retain_inbox: Duration = Field(default=timedelta(days=7), ge=timedelta(0))
    """How long the proof that a message is done is kept."""
    retain_jobs: Duration = Field(default=timedelta(days=30), ge=timedelta(0))
    """How long a job that ended can be asked for."""

    @property
    def broker(self) -> str | None:
        """The broker's URL with its password."""
        return None if self.broker_url is None else self.broker_url.get_secret_value()

    @property
    def results(self) -> str | None:
        """The results' URL with its password."""
        return None if self.results_url is None else self.results_url.get_secret_value()

    @model_validator(mode="after")
    def _limits_in_order(self) -> Self:
        if not self.soft_time_limit < self.hard_time_limit < self.visibility_timeout:
            msg = "SOFT_TIME_LIMIT must be below HARD_TIME_LIMIT, and that below VISIBILITY_TIMEOUT; give them in order"
            raise ValueError(msg)
        return self

"""The section `WORKER__…`: the broker, time limits of tasks, and retention."""

from datetime import timedelta
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from settings.duration import Duration


class WorkerSettings(BaseModel):
    """Settings of workers. All durations are in seconds; those usually given in days also accept ISO 8601 (`P30D`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)

    broker_url: SecretStr | None = None
    """URL of the broker: `redis://…`, `amqp://…`, or another of Celery's. Unset: a SQLite file in `VAR_DIR`, which
    needs no installation and is shared by all processes of one machine.
    """
    results_url: SecretStr | None = None
    """URL of the store in which results of periodic tasks are kept for a day. Unset: the broker if it is Redis, else a
    SQLite file in `VAR_DIR`.
    """
    queue: str = Field(default="gatehouse", pattern=r"^[A-Za-z0-9._-]{1,100}$")
    pool: Literal["prefork", "threads", "solo"] = "prefork"
    """Execution by processes, threads, or neither."""
    concurrency: int = Field(default=2, ge=1, le=1000)
    """Number of processes or threads. Each process has its own pool of connections."""
    soft_time_limit: float = Field(default=300.0, gt=0)
    """Time after which a task's unit is cancelled and rolled back."""
    hard_time_limit: float = Field(default=330.0, gt=0)
    """Time after which a task's process is killed (prefork only)."""
    visibility_timeout: float = Field(default=3600.0, gt=0)
    """Time after which Redis redelivers a task that wasn't acknowledged to another worker."""
    retain_deleted_users: Duration = Field(default=timedelta(days=30), ge=timedelta(0))
    """Time during which a soft-deleted account can be restored; then it is purged."""
    retain_tokens: Duration = Field(default=timedelta(days=7), ge=timedelta(0))
    """Time for which a token is kept after its expiry."""
    retain_inbox: Duration = Field(default=timedelta(days=7), ge=timedelta(0))
    """Time for which the record that a message is done is kept."""
    retain_jobs: Duration = Field(default=timedelta(days=30), ge=timedelta(0))
    """Time for which a job is kept after its end."""

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

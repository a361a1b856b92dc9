"""The section `OUTBOX__…`: delivery of messages from the database to the broker, retries and parking."""

from datetime import timedelta
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from settings.duration import Duration


class OutboxSettings(BaseModel):
    """Settings of the outbox. All durations are in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    batch: int = Field(default=100, ge=1, le=1000)
    """Number of messages that a relay claims at a time."""
    poll_interval: float = Field(default=1.0, gt=0, le=60)
    """Interval at which a relay looks for messages; PostgreSQL also notifies it."""
    redeliver_after: Duration = Field(default=timedelta(seconds=60), gt=timedelta(0))
    """Time after which a message that was published and that no worker has begun is published again; doubled each time,
    up to 64 times this.
    """
    lease: Duration = Field(default=timedelta(seconds=30), ge=timedelta(seconds=1))
    """Time for which a worker that begins a message has it for itself; renewed while it works. When its worker was
    killed the message is delivered again after this. A worker's process whose event loop hangs for half of it ends
    itself.
    """
    max_attempts: int = Field(default=10, ge=1)
    """Number of attempts after which a message is parked."""
    backoff: Duration = Field(default=timedelta(seconds=1), gt=timedelta(0))
    """Pause before a failed message is retried; doubled with each attempt."""
    backoff_max: Duration = Field(default=timedelta(minutes=5), gt=timedelta(0))
    """Maximum of that pause."""

    @model_validator(mode="after")
    def _pauses_in_order(self) -> Self:
        if self.backoff > self.backoff_max:
            msg = "BACKOFF must not be above BACKOFF_MAX; raise the latter"
            raise ValueError(msg)
        return self

"""The section `OUTBOX__…`: delivery of messages from the database to the broker, retries and parking."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from settings.duration import Duration


class OutboxSettings(BaseModel):
    """Settings of the outbox. All durations are in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    batch: int = Field(default=100, ge=1, le=1000)
    """Number of messages that a relay claims at a time."""
    poll_interval: float = Field(default=1.0, gt=0, le=60)
    """Interval at which a relay looks for messages; PostgreSQL also notifies it."""
    redeliver_after: Duration = Field(default=timedelta(seconds=60), gt=timedelta(0))
    """Time after which a message that was published and isn't done is published again; doubled each time, up to 64
    times this.
    """
    max_attempts: int = Field(default=10, ge=1)
    """Number of attempts after which a message is parked."""
    backoff: Duration = Field(default=timedelta(seconds=1), gt=timedelta(0))
    """Pause before a failed message is retried; doubled with each attempt."""
    backoff_max: Duration = Field(default=timedelta(minutes=5), gt=timedelta(0))
    """Maximum of that pause."""

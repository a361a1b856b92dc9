"""The section `OUTBOX__…`: how messages get from the database to the broker, and when one is given up."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from settings.duration import Duration


class OutboxSettings(BaseModel):
    """All durations are seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    batch: int = Field(default=100, ge=1, le=1000)
    """Messages that a relay claims at once."""
    poll_interval: float = Field(default=1.0, gt=0, le=60)
    """How often a relay looks for messages; on PostgreSQL it is woken besides."""
    redeliver_after: Duration = Field(default=timedelta(seconds=60), gt=timedelta(0))
    """A message that is published and not done after this time is published again; then after twice the time, and so
    on, up to 64 times of it."""
    max_attempts: int = Field(default=10, ge=1)
    """A message that workers have begun so often without being done with it is parked."""
    backoff: Duration = Field(default=timedelta(seconds=1), gt=timedelta(0))
    """The pause before a failed message is tried again; doubled with each attempt."""
    backoff_max: Duration = Field(default=timedelta(minutes=5), gt=timedelta(0))
    """The longest such pause."""

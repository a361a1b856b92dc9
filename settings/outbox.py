"""The section `OUTBOX__…`: delivery of messages from the database to the broker, retries and parking."""

from datetime import timedelta
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from settings.duration import Duration
from settings.topics import Topic, TopicSettings


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
    topics: dict[Topic, TopicSettings] = Field(default_factory=dict)
    """Topics that are delivered otherwise, as JSON: `{"users.import": {"queue": "imports", "max_attempts": 3}}`."""

    def of(self, topic: str) -> TopicSettings:
        """Return how this topic's messages are delivered: its own settings, and those of all where it has none."""
        own = self.topics.get(topic, TopicSettings())
        return own.model_copy(
            update={
                "max_attempts": own.max_attempts or self.max_attempts,
                "backoff": own.backoff or self.backoff,
                "backoff_max": own.backoff_max or self.backoff_max,
            }
        )

    @property
    def queues(self) -> frozenset[str]:
        """The queues that topics name."""
        return frozenset(topic.queue for topic in self.topics.values() if topic.queue is not None)

    @model_validator(mode="after")
    def _pauses_in_order(self) -> Self:
        if self.backoff > self.backoff_max:
            msg = "BACKOFF must not be above BACKOFF_MAX; raise the latter"
            raise ValueError(msg)
        for topic in self.topics:
            pauses = self.of(topic)
            if (pauses.backoff or self.backoff) > (pauses.backoff_max or self.backoff_max):
                msg = f"TOPICS: backoff of {topic} must not be above its backoff_max; raise the latter"
                raise ValueError(msg)
        return self

"""The settings of single topics of messages, in `OUTBOX__TOPICS`."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from settings.duration import Duration

QUEUE = r"^[A-Za-z0-9._-]{1,100}$"
Topic = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$")]


class TopicSettings(BaseModel):
    """Delivery of one topic's messages, where it differs from the others'. Unset: as these."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    queue: str | None = Field(default=None, pattern=QUEUE)
    """Queue of the broker. Workers take from all queues, or from those that `gatehouse worker --queues` names."""
    max_attempts: int | None = Field(default=None, ge=1)
    backoff: Duration | None = Field(default=None, gt=timedelta(0))
    backoff_max: Duration | None = Field(default=None, gt=timedelta(0))
    soft_time_limit: float | None = Field(default=None, gt=0)
    hard_time_limit: float | None = Field(default=None, gt=0)

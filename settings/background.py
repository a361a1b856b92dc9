"""The section `BACKGROUND__…`: work of the API process that continues after its request was answered."""

from pydantic import BaseModel, ConfigDict, Field


class BackgroundSettings(BaseModel):
    """Limits of background work. It is drained within `DATABASE__DRAIN_TIMEOUT`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    limit: int = Field(default=1000, ge=1)
    """Maximum number of tasks that run or wait; a further one is refused."""
    concurrency: int = Field(default=4, ge=1)
    """Maximum number of tasks at a time, each with a connection of its own."""

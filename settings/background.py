"""The section `BACKGROUND__…`: work of the API process that goes on after its request was answered."""

from pydantic import BaseModel, ConfigDict, Field


class BackgroundSettings(BaseModel):
    """They are drained within `DATABASE__DRAIN_TIMEOUT`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    limit: int = Field(default=1000, ge=1)
    """How many may run or wait; one more is refused."""
    concurrency: int = Field(default=4, ge=1)
    """How many run at once, each on a connection of its own."""

"""The section `TOKENS__…`: how long each kind of token counts. Seconds, or ISO 8601 (`PT24H`)."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from settings.duration import Duration


class TokenSettings(BaseModel):
    """All three end by themselves; revoking ends them at once."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    lifetime: Duration = Field(default=timedelta(hours=24), gt=timedelta(0))
    """How long an access token that a command issues is accepted, unless the command says otherwise."""
    access_lifetime: Duration = Field(default=timedelta(minutes=15), gt=timedelta(0))
    """How long the access token of a login or a refresh is accepted."""
    refresh_lifetime: Duration = Field(default=timedelta(days=30), gt=timedelta(0))
    """How long after its last refresh a login lasts."""

"""The section `TOKENS__…`: lifetimes of tokens. Seconds, or ISO 8601 (`PT24H`)."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from settings.duration import Duration


class TokenSettings(BaseModel):
    """All of them end by themselves; revoking ends them at once."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    lifetime: Duration = Field(default=timedelta(hours=24), gt=timedelta(0))
    """Lifetime of an access token issued by a command, unless the command sets it."""
    access_lifetime: Duration = Field(default=timedelta(minutes=15), gt=timedelta(0))
    """Lifetime of the access token of a login or a refresh."""
    refresh_lifetime: Duration = Field(default=timedelta(days=30), gt=timedelta(0))
    """Lifetime of a refresh token."""
    login_lifetime: Duration = Field(default=timedelta(days=90), gt=timedelta(0))
    """Maximum lifetime of a login, however often it is refreshed."""
    replica_staleness: Duration = Field(default=timedelta(seconds=1), ge=timedelta(0), le=timedelta(seconds=30))
    """Maximum age of what the token of a GET request is checked against on a replica: so long after its revocation such
    a request may still be answered. 0 checks at the primary. Other requests always do.
    """
    unverified_login: bool = True
    """Accounts whose e-mail address isn't proven get tokens. Off: their logins are answered 403 where the password is
    right; accounts without e-mail address log in as before.
    """
    fresh: Duration = Field(default=timedelta(minutes=10), ge=timedelta(0))
    """Time after a login in which its owner may change e-mail address and phone number without the password."""

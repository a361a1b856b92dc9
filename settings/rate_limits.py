"""The section `RATE_LIMITS__…`: limits of attempts that could be guesses."""

from collections.abc import Mapping
from typing import Annotated

from limits import parse_many
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

OFF = "off"


def _rates(text: str) -> str:
    """Validate rates. Raises ValueError, in our own words, for text that isn't a rate."""
    if text.strip().lower() == OFF:
        return OFF
    try:
        parse_many(text)
    except ValueError:
        msg = "is no rate; write 10/minute, or several as 10/minute;60/hour, or off"
        raise ValueError(msg) from None
    return text


Rates = Annotated[str, AfterValidator(_rates)]


class RateLimitSettings(BaseModel):
    """Limits of attempts: rates separated by `;`, or `off`.

    An account is the one that the attempt names, whether or not it exists; an address is the client's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    login_account: Rates = "10/minute;60/hour"
    """Password attempts on one account."""
    login_address: Rates = "60/minute"
    """Password attempts from one address."""
    register_account: Rates = "5/minute;20/hour"
    """Registrations of one e-mail address or phone number."""
    register_address: Rates = "30/minute;300/hour"
    """Registrations from one address."""
    refresh_account: Rates = "60/minute"
    """Refreshes of one account."""
    refresh_address: Rates = "300/minute"
    """Refreshes from one address."""
    logout_address: Rates = "300/minute"
    """Logouts from one address."""
    max_keys: int = Field(default=100_000, ge=1)
    """Maximum number of accounts and addresses counted in memory; beyond it, the oldest windows are dropped."""

    @property
    def rates(self) -> Mapping[str, str]:
        """The rates by name, without those that are off."""
        return {name: rate for name, rate in self.model_dump(exclude={"max_keys"}).items() if rate != OFF}

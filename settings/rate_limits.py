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

    An account is the one that the attempt names, by any of its contacts, whether or not it exists. An address is the
    client's: an IPv4 address, or the /64 of an IPv6 address.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    login_account_address: Rates = "10/minute;60/hour"
    """Logins to one account from one address."""
    login_account: Rates = "100/hour;500/day"
    """Logins to one account from all addresses together, except from those where one has succeeded within 30 days."""
    login_address: Rates = "60/minute"
    """Logins from one address."""
    confirm_account_address: Rates = "10/minute;60/hour"
    """Checks of the current password, by whoever has a token, of one account from one address."""
    confirm_account: Rates = "100/hour;500/day"
    """Checks of the current password of one account from all addresses together, with the same exception."""
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
    verify_account_address: Rates = "3/minute;10/hour"
    """Requests for a verification mail of one account from one address."""
    verify_account: Rates = "20/hour;50/day"
    """Requests for a verification mail of one account from all addresses together."""
    verify_address: Rates = "10/minute;60/hour"
    """Requests for verification mails from one address."""
    recover_account_address: Rates = "3/minute;10/hour"
    """Requests for a recovery mail of one account from one address."""
    recover_account: Rates = "20/hour;50/day"
    """Requests for a recovery mail of one account from all addresses together."""
    recover_address: Rates = "10/minute;60/hour"
    """Requests for recovery mails from one address."""
    link_address: Rates = "60/minute"
    """Uses of mailed links from one address."""
    export_account: Rates = "5/minute;20/hour"
    """Exports of what is kept about one account."""
    max_keys: int = Field(default=100_000, ge=1)
    """Maximum number of counters in memory, separately of addresses, accounts, contacts without account, and accounts
    by address; beyond it, the oldest windows are dropped.
    """

    @property
    def rates(self) -> Mapping[str, str]:
        """The rates by name, without those that are off."""
        return {name: rate for name, rate in self.model_dump(exclude={"max_keys"}).items() if rate != OFF}

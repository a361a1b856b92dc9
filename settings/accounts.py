"""The section `ACCOUNTS__…`: what accounts tell strangers."""

from pydantic import BaseModel, ConfigDict


class AccountSettings(BaseModel):
    """Settings of accounts."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    registration_tells: bool = True
    """Registration answers with the new account, or 409 for a taken address or number. Off: one answer for all, and the
    owner of a taken address is told by mail.
    """

"""Schemas of logins and tokens."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, SecretStr

from app.api.user_schemas import UserContacts, storable
from domain import TokenPair
from domain.token import MAX_LENGTH

Password = Annotated[SecretStr, Field(description="8 characters to 1024 bytes")]
RefreshToken = Annotated[SecretStr, Field(max_length=MAX_LENGTH)]


class Registration(UserContacts):
    """A new account; it needs an e-mail address or a phone number (with country code)."""

    password: Password


class Login(BaseModel):
    """An e-mail address or a phone number (with country code), and the account's password."""

    model_config = ConfigDict(extra="forbid")

    login: Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(storable)]
    password: SecretStr


class Refresh(BaseModel):
    """A refresh token."""

    model_config = ConfigDict(extra="forbid")

    refresh_token: RefreshToken


class Logout(BaseModel):
    """The token to revoke, a refresh token or an access token. `token`, as RFC 7009 has it, names it as well."""

    model_config = ConfigDict(extra="forbid")

    refresh_token: SecretStr = Field(validation_alias=AliasChoices("refresh_token", "token"))
    token_type_hint: str | None = Field(default=None, max_length=100, description="taken, and not needed")


class PasswordChange(BaseModel):
    """The current password, and the new one."""

    model_config = ConfigDict(extra="forbid")

    current: SecretStr
    new: Password


class Tokens(BaseModel):
    """Tokens that a login or a refresh issues. `expires_in` is the lifetime of the access token in seconds."""

    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a scheme
    expires_in: int

    @classmethod
    def of(cls, pair: TokenPair) -> Self:
        return cls(access_token=pair.access, refresh_token=pair.refresh, expires_in=int(pair.lifetime.total_seconds()))

"""The section `HTTP__…`: which proxies and which web pages of others are trusted. Nobody, unless it is said."""

import re
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic_settings import NoDecode

ANY_ORIGIN: Final = "*"
_ORIGIN: Final = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


def _split(value: Any) -> Any:
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _origin(text: str) -> str:
    """An origin is compared as text, so it must be written as browsers send it."""
    if text != ANY_ORIGIN and not _ORIGIN.fullmatch(text):
        msg = (
            "an origin is a scheme, a host and perhaps a port, in lower case and without path: https://app.example.com"
        )
        raise ValueError(msg)
    return text


class HttpSettings(BaseModel):
    """Lists are written with commas."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_split)] = ()
    """Addresses or networks (`10.0.0.0/8`) of proxies whose X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Prefix
    count."""
    cors_origins: Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_split)] = ()
    """Origins whose pages may call the API from a browser, each whole (`https://app.example.com`); `*` for all."""
    cors_credentials: bool = False
    """Whether those pages may send cookies or client certificates. A bearer token needs no credentials."""

    @model_validator(mode="after")
    def _no_credentials_from_anywhere(self) -> Self:
        if self.cors_credentials and ANY_ORIGIN in self.cors_origins:
            msg = "cors_origins is * and cors_credentials is on: any page could act as its visitor; name the origins"
            raise ValueError(msg)
        return self

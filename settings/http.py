"""The section `HTTP__…`: trusted proxies, web origins, and the bounds of connections and requests."""

import re
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_settings import NoDecode

ANY_ORIGIN: Final = "*"
_ORIGIN: Final = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


def _split(value: Any) -> Any:
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _origin(text: str) -> str:
    """Validate an origin, which must be written as browsers send it because it is compared as text."""
    if text != ANY_ORIGIN and not _ORIGIN.fullmatch(text):
        msg = (
            "an origin is a scheme, a host and perhaps a port, in lower case and without path: https://app.example.com"
        )
        raise ValueError(msg)
    return text


class HttpSettings(BaseModel):
    """Trusted proxies, origins, and bounds on the connections and requests of one process. Lists are separated by
    commas, timeouts are in seconds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_split)] = ()
    """Addresses or networks (`10.0.0.0/8`) of proxies whose X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Prefix
    are trusted.
    """
    cors_origins: Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_split)] = ()
    """Origins whose pages may call the API from a browser, in full (`https://app.example.com`); `*` for all."""
    cors_credentials: bool = False
    """Allow those pages to send cookies or client certificates. A bearer token doesn't need it."""
    head_timeout: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """Maximum time from a connection's opening, or the first byte of its next request, to the end of the request's
    headers; then 408. A connection that has sent nothing is closed.
    """
    body_timeout: Annotated[float, Field(gt=0, le=3600)] = 20.0
    """Maximum time of a request's body, and a second more for each 8 KiB received; then 408. Time in which the server
    reads nothing, as it has yet to store what it has, doesn't count.
    """
    keep_alive_timeout: Annotated[float, Field(gt=0, le=3600)] = 5.0
    """Time after which a connection without a further request is closed. A proxy must reuse connections for less."""
    write_timeout: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """Time after which a connection whose client reads nothing of its answer is closed."""
    max_idle_connections: Annotated[int, Field(ge=10, le=100_000)] = 500
    """Maximum number of connections without a complete request, half-sent ones included; beyond it the one that has
    been idle the longest is closed.
    """
    max_unfinished_bytes: Annotated[int, Field(ge=1_048_576)] = 16_777_216
    """Maximum number of bytes that all bodies under way hold in memory; beyond it those whose client has been silent
    the longest are answered 503. Never less than `MAX_BODY_BYTES`.
    """
    limit_concurrency: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Maximum number of requests that are answered at once; further ones are answered 503, but for `/health/live`."""

    max_wait: float | None = Field(default=2.0, gt=0)
    """Maximum seconds that a request waits for a database connection before it is answered 503 `overloaded`; a quarter
    of it once its route has been overloaded for that long. None: requests wait for `pool_timeout`, first come, first
    served, and one route may use every connection.
    """
    request_timeout: float | None = Field(default=None, gt=0)
    """Maximum duration of a request in seconds, with its statements; a client may ask for less by `X-Request-Timeout`.
    """
    grpc_timeout: bool = False
    """Also read the header `grpc-timeout`, as proxies that translate gRPC send it."""

    @model_validator(mode="after")
    def _no_credentials_from_anywhere(self) -> Self:
        if self.cors_credentials and ANY_ORIGIN in self.cors_origins:
            msg = "cors_origins is * and cors_credentials is on: any page could act as its visitor; name the origins"
            raise ValueError(msg)
        return self

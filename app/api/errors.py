"""Errors of the HTTP layer.

ApiError
├── MalformedHeader         a header doesn't parse
├── MethodNotAllowed        the address exists, but doesn't answer the method
├── NotAcceptable           Accept names no media type that the address offers
├── PreconditionRequired    If-Match is missing
├── TooLate                 the deadline passed; the outcome of the request is unknown
├── UnsupportedMediaType    the body isn't of the expected media type: JSON, or a file
│   └── CodedBody           the body has a Content-Encoding, such as gzip
└── WeakTag                 If-Match names the version by a weak tag
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class ApiError(Exception):
    """Root of the errors of the HTTP layer. `headers` are added to the answer."""

    headers: Mapping[str, str] = NO_HEADERS


class MalformedHeader(ApiError):
    """A header doesn't parse; `name` is its name."""

    def __init__(self, name: str, expected: str) -> None:
        self.name = name
        self.expected = expected
        super().__init__(name, expected)

    def __str__(self) -> str:
        return f"the header {self.name} doesn't parse; send {self.expected}"


class MethodNotAllowed(ApiError):
    """The address doesn't answer the method; `headers` list the allowed ones."""

    def __init__(self, method: str, headers: Mapping[str, str]) -> None:
        self.method = method
        self.headers = headers
        super().__init__(method, headers)

    def __str__(self) -> str:
        return f"this address doesn't answer this method; it answers {self.headers['Allow']}"


class NotAcceptable(ApiError):
    """Accept names none of the media types of the answer; `offered` names these."""

    def __init__(self, offered: str) -> None:
        self.offered = offered
        super().__init__(offered)

    def __str__(self) -> str:
        return f"the answer is {self.offered}, which the header Accept leaves out; accept it, or send no such header"


class PreconditionRequired(ApiError):
    """A change lacks If-Match."""

    def __str__(self) -> str:
        return 'this change needs the header If-Match with the ETag you have seen, as "3", or * for any'


class UnsupportedMediaType(ApiError):
    """Content-Type doesn't declare the media type that is read; `expected` names it."""

    def __init__(
        self,
        expected: str = "JSON in UTF-8, with the header Content-Type: application/json",
        *,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> None:
        self.expected = expected
        self.headers = headers
        super().__init__(expected, headers)

    def __str__(self) -> str:
        return f"send the body as {self.expected}"


class CodedBody(UnsupportedMediaType):
    """The body has a Content-Encoding."""

    def __init__(self) -> None:
        super().__init__("it is, in no Content-Encoding", headers={"Accept-Encoding": "identity"})


class WeakTag(ApiError):
    """If-Match names the current version by a weak tag."""

    def __str__(self) -> str:
        return (
            'If-Match compares strongly, so a weak tag (W/"3") never matches. A proxy that compresses answers makes '
            'tags weak: send the tag without W/, as "3"'
        )

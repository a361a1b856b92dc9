"""What only HTTP can get wrong.

ApiError
├── MalformedHeader         a header doesn't parse
├── MethodNotAllowed        the address is there, and doesn't answer the method
├── NotAcceptable           what is answered there is none of what Accept names
├── PreconditionRequired    If-Match is missing
├── UnsupportedMediaType    a body that isn't JSON, or where a file is asked for, none
│   └── CodedBody           a body in a coding, such as gzip
└── WeakTag                 If-Match names the version by a weak tag
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class ApiError(Exception):
    """Root of what only HTTP can get wrong. `headers` are its answer's."""

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
    """The address doesn't answer the method; `headers` name those it does."""

    def __init__(self, method: str, headers: Mapping[str, str]) -> None:
        self.method = method
        self.headers = headers
        super().__init__(method, headers)

    def __str__(self) -> str:
        return f"this address doesn't answer this method; it answers {self.headers['Allow']}"


class NotAcceptable(ApiError):
    """Accept leaves out everything that is answered here; `offered` is that."""

    def __init__(self, offered: str) -> None:
        self.offered = offered
        super().__init__(offered)

    def __str__(self) -> str:
        return f"the answer is {self.offered}, which the header Accept leaves out; accept it, or send no such header"


class PreconditionRequired(ApiError):
    """If-Match is missing on a change."""

    def __str__(self) -> str:
        return 'this change needs the header If-Match with the ETag you have seen, as "3", or * for any'


class UnsupportedMediaType(ApiError):
    """The body is not declared as what is read; `expected` names it."""

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
    """The body is in a coding."""

    def __init__(self) -> None:
        super().__init__("it is, in no Content-Encoding", headers={"Accept-Encoding": "identity"})


class WeakTag(ApiError):
    """If-Match names the version, but by a weak tag."""

    def __str__(self) -> str:
        return (
            'If-Match compares strongly, so a weak tag (W/"3") never matches. A proxy that compresses answers makes '
            'tags weak: send the tag without W/, as "3"'
        )

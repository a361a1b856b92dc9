"""What only HTTP can get wrong.

ApiError
├── MalformedHeader         a header doesn't parse
├── PreconditionRequired    If-Match is missing
└── UnsupportedMediaType    a body that isn't JSON, or where a file is asked for, none
"""


class ApiError(Exception):
    """Root of what only HTTP can get wrong."""


class MalformedHeader(ApiError):
    """A header doesn't parse; `name` is its name."""

    def __init__(self, name: str, expected: str) -> None:
        self.name = name
        self.expected = expected
        super().__init__(name, expected)

    def __str__(self) -> str:
        return f"the header {self.name} doesn't parse; send {self.expected}"


class PreconditionRequired(ApiError):
    """If-Match is missing on a change."""

    def __str__(self) -> str:
        return 'this change needs the header If-Match with the ETag you have seen, as "3", or * for any'


class UnsupportedMediaType(ApiError):
    """The body is not declared as what is read; `expected` names it."""

    def __init__(self, expected: str = "JSON, with the header Content-Type: application/json") -> None:
        self.expected = expected
        super().__init__(expected)

    def __str__(self) -> str:
        return f"send the body as {self.expected}"

"""AddressUnusable: an address that can't be listened on, and the options that choose another."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

_REASONS = {
    errno.EADDRINUSE: "address already in use",
    errno.EACCES: "not allowed to this user",
    errno.EADDRNOTAVAIL: "no address of this machine",
}


class AddressUnusable(Exception):
    """The address can't be listened on. `choices` names the options that set another."""

    def __init__(self, host: str, port: int, reason: str, choices: str) -> None:
        self.host = host
        self.port = port
        self.reason = reason
        self.choices = choices
        super().__init__(host, port, reason, choices)

    def __str__(self) -> str:
        return f"can't listen on port {self.port} of {self.host}: {self.reason}. Choose another with {self.choices}."


@contextmanager
def named(host: str, port: int, choices: str) -> Iterator[None]:
    """Turn the OSError of an address that can't be bound into `AddressUnusable` in the block."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REASONS:
            raise
        raise AddressUnusable(host, port, _REASONS[error.errno], choices) from None


def require_free(host: str, port: int, choices: str) -> None:
    """Raise `AddressUnusable` for an address that can't be bound now. Another process may still bind it before us."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with named(host, port, choices), socket.create_server((host, port), family=family):
        pass

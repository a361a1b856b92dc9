"""Client address: the address that a request comes from, in a context variable that the entrypoint binds."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_client_address: ContextVar[str | None] = ContextVar("client_address", default=None)


@contextmanager
def bound_client_address(address: str | None) -> Iterator[None]:
    """Bind the client's address for the length of the block; None for work without a client."""
    token = _client_address.set(address)
    try:
        yield
    finally:
        _client_address.reset(token)


def current_client_address() -> str | None:
    """Return the client's address; None outside requests."""
    return _client_address.get()

"""Where a request comes from: one context variable, bound by the entrypoint that knows."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_client_address: ContextVar[str | None] = ContextVar("client_address", default=None)


@contextmanager
def bound_client_address(address: str | None) -> Iterator[None]:
    """What is recorded inside the block was asked for from this address; None where that has no meaning."""
    token = _client_address.set(address)
    try:
        yield
    finally:
        _client_address.reset(token)


def current_client_address() -> str | None:
    """The client's address; None where no request is being answered."""
    return _client_address.get()

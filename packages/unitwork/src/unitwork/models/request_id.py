"""Request id: a context variable that names the request being served, for every entrypoint."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


@contextmanager
def bound_request_id(request_id: str) -> Iterator[None]:
    """Set the request id inside the block, for logs, errors and audit entries."""
    token = _request_id.set(request_id)
    try:
        yield
    finally:
        _request_id.reset(token)


def current_request_id() -> str | None:
    """Return the request's id; None outside a request."""
    return _request_id.get()

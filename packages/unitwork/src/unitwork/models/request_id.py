"""Which request this work belongs to: one context variable for every entrypoint."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


@contextmanager
def bound_request_id(request_id: str) -> Iterator[None]:
    """Logs, errors and audit entries made inside the block name this request."""
    token = _request_id.set(request_id)
    try:
        yield
    finally:
        _request_id.reset(token)


def current_request_id() -> str | None:
    """The request's id; None where no request is being answered."""
    return _request_id.get()

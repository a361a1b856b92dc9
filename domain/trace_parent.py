"""Trace parent: the W3C `traceparent` of the current work, passed from the request to the workers."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_FORM: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

_trace_parent: ContextVar[str | None] = ContextVar("trace_parent", default=None)


@contextmanager
def bound_trace_parent(trace_parent: str | None) -> Iterator[None]:
    """Set the trace inside the block; text of another form means no trace."""
    token = _trace_parent.set(trace_parent if trace_parent and _FORM.fullmatch(trace_parent) else None)
    try:
        yield
    finally:
        _trace_parent.reset(token)


def current_trace_parent() -> str | None:
    """Return the trace; None without one."""
    return _trace_parent.get()

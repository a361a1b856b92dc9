"""Which trace this work belongs to: the W3C `traceparent`, carried from the request to the workers."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_FORM: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

_trace_parent: ContextVar[str | None] = ContextVar("trace_parent", default=None)


@contextmanager
def bound_trace_parent(trace_parent: str | None) -> Iterator[None]:
    """What is made inside the block belongs to this trace; text of another form is none."""
    token = _trace_parent.set(trace_parent if trace_parent and _FORM.fullmatch(trace_parent) else None)
    try:
        yield
    finally:
        _trace_parent.reset(token)


def current_trace_parent() -> str | None:
    """The trace; None where there is none."""
    return _trace_parent.get()

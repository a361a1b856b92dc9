"""Trace context: the trace that a request or a task continues, for OpenTelemetry and for messages."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from domain.trace_parent import bound_trace_parent, current_trace_parent

HEADER: Final = "traceparent"
"""W3C's header."""


@contextmanager
def continued_trace(trace_parent: str | None) -> Iterator[None]:
    """Continue the trace of a `traceparent` inside the block; text of another form means no trace. A span that is
    current already, as an instrumented server's, takes precedence.
    """
    trace: Any = sys.modules.get("opentelemetry.trace")  # loaded where traces are exported
    span: Any = None if trace is None else trace.get_current_span().get_span_context()
    if span is not None and span.is_valid:
        trace_parent = f"00-{span.trace_id:032x}-{span.span_id:016x}-{int(span.trace_flags):02x}"
    with bound_trace_parent(trace_parent):
        if span is None or span.is_valid or current_trace_parent() is None:
            yield
            return
        from opentelemetry import context  # noqa: PLC0415 - an extra, and loaded already
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 - as above

        token = context.attach(TraceContextTextMapPropagator().extract({HEADER: trace_parent}))
        try:
            yield
        finally:
            context.detach(token)

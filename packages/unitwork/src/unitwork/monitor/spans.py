"""Spans: export transactions and statements to OpenTelemetry (extra `otel`).

They are made from the library's own events, as the published instrumentation doesn't support this SQLAlchemy. A
statement's span is created when it has ended, inside its transaction's. Names follow OpenTelemetry's conventions for
database clients.
"""

import time
from importlib import import_module
from typing import Any, Final

from unitwork.call_site import shown
from unitwork.monitor.record import Event, Record
from unitwork.monitor.shape import OK
from unitwork.outcome import Outcome
from unitwork.unit import Unit

SCOPE: Final = "unitwork.database"
SYSTEMS: Final = {"oracle": "oracle.db"}
"""Names of database systems that differ from SQLAlchemy's."""


class Spans:
    """Spans of one monitor. `provider` is a TracerProvider; None is the process's default."""

    def __init__(self, dialect: str, provider: Any = None) -> None:
        self._trace: Any = import_module("opentelemetry.trace")
        self._tracer = self._trace.get_tracer(SCOPE, tracer_provider=provider)
        self._system = SYSTEMS.get(dialect, dialect)

    def opened(self, unit: Unit, record: Record) -> None:
        """Start a unit's span inside the current one."""
        if unit.autocommit:
            return
        opener = shown(record.opened_by[0] if record.opened_by else unit.call_site)
        record.span = self._tracer.start_span(
            unit.name or ("transaction" if unit.transactional else "session"),
            attributes={"db.system.name": self._system, "unitwork.opened_at": opener},
        )

    def statement(self, record: Record | None, ended: Event) -> None:
        """Add the span of a statement that has just ended."""
        end = time.time_ns()
        shape = ended.shape.fingerprint
        attributes: dict[str, Any] = {
            "db.system.name": self._system,
            "db.query.text": shape.text,
            "db.query.summary": ended.shape.kind.name,
            "db.operation.name": shape.verb,
            "db.response.returned_rows": ended.rows,
            "unitwork.fingerprint": shape.id,
        }
        call_site = ended.call_site or ended.via
        if call_site is not None:
            file, _, line = shown(call_site).rpartition(":")
            attributes |= {"code.file.path": file, "code.line.number": int(line)}
        if shape.table:
            attributes["db.collection.name"] = shape.table
        if ended.outcome is not OK:
            attributes["error.type"] = ended.outcome
        span: Any = self._tracer.start_span(
            ended.shape.kind.name,
            context=None if record is None or record.span is None else self._trace.set_span_in_context(record.span),
            kind=self._trace.SpanKind.CLIENT,
            attributes=attributes,
            start_time=end - int(ended.took * 1e9),
        )
        if ended.outcome is not OK:
            span.set_status(self._trace.StatusCode.ERROR)
        span.end(end)

    def left(self, unit: Unit, record: Record) -> None:
        """End a unit's span."""
        span: Any = record.span
        if span is None:
            return
        record.span = None
        if unit.outcome is not None:
            span.set_attribute("unitwork.outcome", unit.outcome.name.lower())
        span.set_attribute("unitwork.statements", record.statements)
        if unit.outcome is Outcome.UNKNOWN or unit.failure is not None:
            span.set_status(self._trace.StatusCode.ERROR)
        span.end()

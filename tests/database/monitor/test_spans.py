"""Spans for OpenTelemetry: transactions and, inside them, statements; no value."""

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from sqlalchemy import text

from containers import Container, running
from settings import Settings

CANARY = "c4n4ry"


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    yield exporter
    exporter.shutdown()


async def test_a_transactions_span_holds_its_statements(settings: Settings, exporter: InMemorySpanExporter) -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    traced = settings.model_copy(update={"database": settings.database.model_copy(update={"traces": True})})
    container = Container(settings=traced)
    container.sql_monitor().tracer_provider = provider
    async with running(container):
        async with container.transaction()(name="move", read_only=True) as tx:
            await tx.session.execute(text(f"SELECT id FROM users WHERE email = '{CANARY}'"))
        await container.user_dao().query().all()
        with pytest.raises(Exception, match="nowhere"):
            async with container.session_provider()() as session:
                await session.execute(text("SELECT a FROM nowhere"))
    provider.shutdown()
    spans: list[Any] = list(exporter.get_finished_spans())
    (move,) = [span for span in spans if span.name == "move"]
    inside = [span for span in spans if span.parent is not None and span.parent.span_id == move.context.span_id]
    (select,) = [span for span in inside if span.name == "SELECT users"]
    assert select.attributes["db.query.text"] == "SELECT id FROM users WHERE email = ?"
    assert select.attributes["code.file.path"] == "tests/database/monitor/test_spans.py"
    assert move.start_time <= select.start_time <= select.end_time <= move.end_time
    assert move.attributes["unitwork.outcome"] == "committed"
    assert [span for span in spans if span.name == "SELECT users" and span.parent is None], "a lone statement has none"
    (failed,) = [span for span in spans if span.name == "SELECT nowhere"]
    assert failed.attributes["error.type"] == "SchemaOutdated"
    assert failed.status.status_code is StatusCode.ERROR
    assert CANARY not in "".join(span.to_json() for span in spans)

"""One trace joins a request, its message and the task that handles it."""

from collections.abc import Iterator

import httpx2
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.trace_context import HEADER, continued_trace
from app.worker.service_task import context_of
from containers import Container
from domain.trace_parent import current_trace_parent
from settings import Settings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"database": settings.database.model_copy(update={"traces": True})})


@pytest.fixture
def spans(container: Container) -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    container.sql_monitor().tracer_provider = provider
    yield exporter
    provider.shutdown()


async def test_a_request_continues_its_clients_trace_and_hands_it_to_its_message(
    spans: InMemorySpanExporter, container: Container, client: httpx2.AsyncClient
) -> None:
    spans.clear()  # of the admin's account
    registration = {"email": "ada@example.com", "password": "correct horse battery"}
    answer = await client.post("/v1/auth/register", json=registration, headers={"traceparent": PARENT})
    assert answer.status_code == 201
    (message,) = await container.outbox_dao().query().all()
    assert message.trace_parent == PARENT
    made = [span for span in spans.get_finished_spans() if span.context is not None]
    assert {f"{span.context.trace_id:032x}" for span in made if span.name.startswith("INSERT")} == {TRACE}
    spans.clear()
    with context_of({HEADER: message.trace_parent}):
        await container.user_dao().query().all()
    assert {f"{span.context.trace_id:032x}" for span in spans.get_finished_spans()} == {TRACE}


@pytest.mark.parametrize("header", ["", "nonsense", "00-" + "0" * 31, PARENT.upper(), f"{PARENT}\n"])
def test_what_is_no_trace_is_none(header: str) -> None:
    with continued_trace(header):
        assert current_trace_parent() is None


def test_a_span_that_is_current_already_is_the_parent() -> None:
    tracer = TracerProvider().get_tracer("server")
    with tracer.start_as_current_span("GET"), continued_trace(PARENT):
        found = current_trace_parent()
    assert found is not None
    assert TRACE not in found
    assert current_trace_parent() is None

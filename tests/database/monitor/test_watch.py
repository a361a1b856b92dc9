"""Leaks and idle transactions are reported in time, with their lines; and nothing else is."""

import asyncio
import inspect
import logging
import time
from typing import Any

import pytest
from sqlalchemy import text

from containers import Container
from tests.conftest import FIGURE
from unitwork.monitor.findings.finding import IDLE, LEAK, Finding

THRESHOLD = 0.4


def line_of(code: Any, mark: str) -> int:
    lines, first = inspect.getsourcelines(code)
    return next(first + number for number, line in enumerate(lines) if line.rstrip().endswith(f"# {mark}"))


async def the(container: Container, kind: str) -> Finding:
    findings = container.sql_monitor().findings
    async with asyncio.timeout(10):
        while not findings.latest(kind):  # noqa: ASYNC110 - a finding is no event
            await asyncio.sleep(0.005)
    (finding,) = findings.latest(kind)
    return finding


@pytest.mark.database("own")
async def test_a_leaked_session_is_reported_with_the_lines_that_opened_it(
    container: Container, record_property: Any
) -> None:
    container.sql_monitor().thresholds.session_leak = THRESHOLD

    async def leaks() -> Any:
        block = container.session_provider()(read_only=True)
        session = await block.__aenter__()  # opened
        await session.execute(text("SELECT 1"))
        return block

    begun = time.monotonic()
    block = await leaks()
    finding = await the(container, LEAK)
    took = time.monotonic() - begun
    record_property(FIGURE, f"leak: threshold {THRESHOLD} s, held for {finding.facts['held']} s when it was reported")
    here = "tests/database/monitor/test_watch.py"
    name = test_a_leaked_session_is_reported_with_the_lines_that_opened_it
    assert finding.facts["stack"][0] == f"{here}:{line_of(name, 'opened')}"
    assert finding.facts["stack"][1].startswith(here)
    assert THRESHOLD <= finding.facts["held"] <= took
    assert finding.open
    await block.__aexit__(None, None, None)
    assert not finding.open


@pytest.mark.database("own")
async def test_a_transaction_left_alone_is_reported_with_the_line_that_awaits(
    container: Container, record_property: Any
) -> None:
    container.sql_monitor().thresholds.idle_in_transaction = THRESHOLD

    async def waits() -> None:
        async with container.transaction()(name="import") as tx:
            await tx.session.execute(text("SELECT 1"))
            await asyncio.sleep(THRESHOLD * 2.5)  # awaits

    task = asyncio.create_task(waits())
    finding = await the(container, IDLE)
    record_property(FIGURE, f"idle: threshold {THRESHOLD} s, idle for {finding.facts['idle']} s when it was reported")
    name = test_a_transaction_left_alone_is_reported_with_the_line_that_awaits
    assert finding.facts["call_site"] == f"tests/database/monitor/test_watch.py:{line_of(name, 'awaits')}"
    assert finding.facts["transaction"] == "import"
    assert finding.facts["idle"] >= THRESHOLD
    await task
    assert not finding.open


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_units_that_come_and_go_raise_no_alarm(container: Container) -> None:
    monitor = container.sql_monitor()
    monitor.thresholds.session_leak = monitor.thresholds.idle_in_transaction = 2.0
    for _ in range(300):
        async with container.transaction()(read_only=True) as tx:
            await tx.session.execute(text("SELECT 1"))
    assert monitor.findings.counts[LEAK] == monitor.findings.counts[IDLE] == 0
    assert monitor.open == {}
    assert monitor.errors.total() == 0


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_every_finding_is_a_structured_line_in_the_log(
    container: Container, caplog: pytest.LogCaptureFixture
) -> None:
    container.sql_monitor().thresholds.slow_sql = 1e-9
    with caplog.at_level(logging.WARNING, "unitwork.sql"):
        async with container.session_provider()(read_only=True) as session:
            await session.execute(text("SELECT 'c4n4ry'"))
    facts = [record.sql for record in caplog.records if hasattr(record, "sql")]
    (slow,) = [fact for fact in facts if fact["statement"] == "SELECT ?"]
    assert slow["event"] == "slow_sql"
    assert slow["call_site"].startswith("tests/database/monitor/test_watch.py:")
    assert "c4n4ry" not in caplog.text

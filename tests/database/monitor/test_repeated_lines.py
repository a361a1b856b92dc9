"""Lines of one shape are one line an interval, with their number: overload doesn't fill the log."""

import asyncio
import logging

import pytest
from sqlalchemy import text

from containers import Container
from tests.patience import until
from unitwork.errors import DatabaseUnavailable
from unitwork.models import bound_request_id, current_request_id
from unitwork.monitor import RepeatedLines
from unitwork.monitor.findings.finding import BUDGET, LEAK, SLOW, Findings

LOGGER = "tests.repeated"
log = logging.getLogger(LOGGER)


class Clock:
    """Seconds that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == LOGGER]


def test_the_first_line_is_written_at_once_and_an_interval_of_others_is_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    lines = RepeatedLines(log, clock=clock)
    for number in range(1, 801):
        lines.write("a", f"slow {number}", took=number / 1000, facts={"number": number})
        clock.now += 0.1
    lines.write("b", "another shape")
    lines.flush()
    told = messages(caplog)
    assert told[0] == "slow 1"
    assert told[1] == "99 more in 10 s, the longest 100 ms; the latest: slow 100"
    assert len(told) == 1 + 8 + 1, "one for each interval, the rest of the last one included"
    counted = [record.sql for record in caplog.records if hasattr(record, "sql")]
    assert counted[1] == {"number": 100, "repeated": 99, "longest": 0.1}
    assert sum(facts.get("repeated", 1) for facts in counted) == 800, "none is lost"
    lines.flush()
    assert len(messages(caplog)) == len(told)


def test_a_shape_that_has_been_silent_is_written_at_once_again(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    lines = RepeatedLines(log, clock=clock)
    for number in range(3):
        lines.write("a", str(number))
        clock.now += 60
    assert messages(caplog) == ["0", "1", "2"]


def test_memory_is_bounded_and_no_count_lost(caplog: pytest.LogCaptureFixture) -> None:
    lines = RepeatedLines(log, max_shapes=10)
    for shape in range(1000):
        for number in range(2):
            lines.write(shape, f"{shape}.{number}")
        assert len(lines._shapes) <= 10
    lines.flush()
    assert len(messages(caplog)) == 2000


def test_errors_are_all_written_and_what_is_off_is_not_counted(caplog: pytest.LogCaptureFixture) -> None:
    lines = RepeatedLines(log)
    for _ in range(3):
        lines.write("a", "lost", level=logging.ERROR)
        lines.write("a", "detail", level=logging.DEBUG)
    lines.flush()
    assert messages(caplog) == ["lost"] * 3


async def test_a_timer_writes_what_was_counted_in_no_ones_context(caplog: pytest.LogCaptureFixture) -> None:
    named = []

    class Named(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            named.append(current_request_id())

    handler = Named()
    log.addHandler(handler)
    try:
        lines = RepeatedLines(log, interval=0.1)
        with bound_request_id("first"):
            for _ in range(5):
                lines.write("a", "slow")
        await until(lambda: len(messages(caplog)) == 2)
    finally:
        log.removeHandler(handler)
    assert messages(caplog)[1].startswith("4 more in ")
    assert named == ["first", None]
    await asyncio.sleep(0.3)
    assert not lines._shapes or len(messages(caplog)) == 2


def test_a_flush_without_a_loop_or_in_another_one_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    lines = RepeatedLines(log, interval=0.1)

    async def twice() -> None:
        lines.write("a", "slow")
        lines.write("a", "slow")

    async def later() -> None:
        await twice()
        await until(lambda: len(messages(caplog)) >= 2)

    asyncio.run(twice())
    asyncio.run(later())
    lines.flush()
    assert messages(caplog)[0] == "slow"
    assert messages(caplog)[1].startswith(("1 more", "2 more", "3 more"))


def test_findings_are_told_apart_by_kind_and_shape_and_all_counted(caplog: pytest.LogCaptureFixture) -> None:
    findings = Findings()
    for number in range(20):
        findings.report(SLOW, "slow", {"number": number}, shape=number % 2, took=0.5)
        findings.report(LEAK, "leak", {}, shape=0)
        findings.over_budget("list", "21 statements")
    assert (findings.counts[SLOW], findings.counts[BUDGET], len(findings.latest(SLOW))) == (20, 20, 20)
    assert len(caplog.records) == 4
    findings.lines.flush()
    assert [record.getMessage().partition(" more")[0] for record in caplog.records[4:]] == ["9", "19", "19", "9"]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_so_many_slow_statements_are_two_lines_and_all_counted(
    container: Container, caplog: pytest.LogCaptureFixture
) -> None:
    monitor = container.sql_monitor()
    async with container.session_provider()(read_only=True) as session:
        await session.execute(text("SELECT 0 AS before"))
    monitor.thresholds.slow_sql, monitor.thresholds.repeated_sql = 1e-9, None
    before = monitor.findings.counts[SLOW]
    with caplog.at_level(logging.WARNING, "unitwork.sql"):
        async with container.session_provider()(read_only=True) as session:
            for number in range(200):
                await session.execute(text(f"SELECT {number} AS planted"))
        await monitor.close()
    told = [record.getMessage() for record in caplog.records if "planted" in record.getMessage()]
    assert len(told) == 2
    assert told[0].startswith("slow SQL, ")
    assert told[1].startswith("199 more in ")
    assert monitor.findings.counts[SLOW] - before >= 200


async def test_refused_requests_are_one_line_for_each_kind_of_error(caplog: pytest.LogCaptureFixture) -> None:
    from app.api.problems import database_errors, problem_for

    database_errors.flush()
    caplog.clear()
    with caplog.at_level(logging.WARNING, "gatehouse.api"):
        for _ in range(50):
            assert problem_for(DatabaseUnavailable("nowhere", "refused"), "/v1/users").status_code == 503
        database_errors.flush()
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert told[0].startswith("DatabaseUnavailable: ")
    assert told[1].startswith("49 more in ")

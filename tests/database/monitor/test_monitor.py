"""What the monitor records of statements and transactions, and that it harms nobody."""

import asyncio
import logging
from typing import Any

import pytest
from sqlalchemy import text

from containers import Container, running
from domain import User
from settings import Settings
from unitwork import budget
from unitwork.models import SYSTEM, acting_as
from unitwork.monitor.budget import BudgetExceeded
from unitwork.monitor.feed import picture
from unitwork.monitor.findings.finding import BUDGET, DEADLOCK, FAILED
from unitwork.monitor.monitor import SqlMonitor
from unitwork.monitor.shape import MAX_SHAPES, MAX_TEXTS, OK, Shapes

ROUNDS = 5
CANARY = "c4n4ry"


def kind(container: Container, name: str) -> Any:
    return container.sql_monitor().shapes.kinds[name]


async def test_statements_are_counted_by_kind_and_how_they_ended(container: Container) -> None:
    with acting_as(SYSTEM):
        await container.user_service().create({"email": "ann@example.com"})
    await container.user_dao().query().all()
    with pytest.raises(Exception, match="nowhere"):
        async with container.session_provider()() as session:
            await session.execute(text("SELECT a FROM nowhere"))
    assert kind(container, "INSERT users").ok == 1
    assert kind(container, "SELECT users").ok >= 1
    assert kind(container, "SELECT nowhere").failed == 1
    assert container.sql_monitor().errors.total() == 0


@pytest.mark.database("own")
@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_cancelled_statement_is_recorded_as_cancelled(container: Container) -> None:
    with pytest.raises(TimeoutError):
        async with container.session_provider()() as session:
            await session.execute(text("SELECT 1"))
            async with asyncio.timeout(0.1):
                await session.execute(text("SELECT pg_sleep(0.2)"))
    assert kind(container, "SELECT").cancelled == 1


async def test_transactions_are_counted_by_outcome(container: Container) -> None:
    outcomes = container.sql_monitor().transactions.outcomes
    async with container.transaction()() as tx:  # a container's first has it take its node number, in one of its own
        await tx.session.execute(text("SELECT 1"))
    before = dict(outcomes)
    async with container.transaction()() as tx:
        await tx.session.execute(text("SELECT 1"))
    with pytest.raises(ZeroDivisionError):
        async with container.transaction()() as tx:
            await tx.session.execute(text("SELECT 1"))
            _ = 1 / 0
    assert outcomes["committed"] == before["committed"] + 1
    assert outcomes["rolled_back"] == before["rolled_back"] + 1


async def test_a_failed_transactions_error_tells_what_it_did_last_without_values(
    container: Container, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Exception, match="nowhere") as failed, caplog.at_level(logging.WARNING, "unitwork.sql"):
        async with container.transaction()(name="move") as tx:
            await tx.session.execute(text(f"SELECT id FROM users WHERE email = '{CANARY}'"))
            await tx.session.execute(text("SELECT a FROM nowhere"))
    (note,) = failed.value.__notes__
    assert "move, rolled back by SchemaOutdated after 2 statements" in note
    assert "SELECT id FROM users WHERE email = ? [ok" in note
    (finding,) = container.sql_monitor().findings.latest(FAILED)
    assert [event["outcome"] for event in finding.facts["events"]][-2:] == ["ok", "SchemaOutdated"]
    assert "SELECT id FROM users WHERE email = ?" in caplog.text
    assert CANARY not in note + caplog.text + str(finding.as_facts())


@pytest.mark.database("own")
@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_deadlocks_log_holds_both_statements(container: Container, caplog: pytest.LogCaptureFixture) -> None:
    with acting_as(SYSTEM):
        users = [await container.user_service().create({"email": f"{name}@example.com"}) for name in ("a", "b")]

    async def locks(met: asyncio.Barrier, first: User, second: User) -> None:
        async with container.transaction()() as tx:
            update = f"UPDATE users SET display_name = '{CANARY}' WHERE id = :id"
            await tx.session.execute(text(update), {"id": first.id})
            await met.wait()
            await tx.session.execute(text(update + " AND version > 0" * (first is users[0])), {"id": second.id})

    # The other side may have had its answer before the victim's error is seen: then there is one side to tell of.
    for _ in range(ROUNDS):
        caplog.clear()
        met = asyncio.Barrier(2)
        with caplog.at_level(logging.WARNING, "unitwork.sql"):
            ended = await asyncio.gather(locks(met, *users), locks(met, *reversed(users)), return_exceptions=True)
        assert [type(error).__name__ for error in ended if error is not None] == ["DeadlockDetected"]
        finding = container.sql_monitor().findings.latest(DEADLOCK)[0]
        sides = finding.facts["sides"]
        assert sides[0]["victim"]
        if len(sides) == 2:
            break
    assert {side["statement"] for side in sides} == {
        "UPDATE users SET display_name = ? WHERE id = ?",
        "UPDATE users SET display_name = ? WHERE id = ? AND version > ?",
    }
    assert [side["victim"] for side in sides] == [True, False]
    assert all(side["call_site"].startswith("tests/database/monitor/test_monitor.py:") for side in sides)
    (logged,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith("deadlock")]
    assert all(side["statement"] in logged for side in sides)
    assert CANARY not in caplog.text


async def test_a_budget_is_an_error_in_tests(container: Container) -> None:
    with budget(queries=1, ms=10_000):
        await container.user_dao().query().all()
    with pytest.raises(BudgetExceeded, match="2 statements, 1 allowed"), budget(queries=1, name="list"):
        await container.user_dao().query().all()
        await container.user_dao().query().all()

    @budget(queries=1)
    async def many() -> None:
        await asyncio.gather(*(container.user_dao().query().all() for _ in range(3)))

    with pytest.raises(BudgetExceeded, match="many: 3 statements"):
        await many()
    assert container.sql_monitor().findings.budgets["list"] == 1
    with pytest.raises(ZeroDivisionError), budget(queries=0):
        await container.user_dao().query().all()
        _ = 1 / 0


async def test_a_budget_is_a_count_in_production(settings: Settings) -> None:
    database = settings.database.model_copy(update={"budgets": "report"})
    async with running(Container(settings=settings.model_copy(update={"database": database}))) as container:
        with budget(queries=0, name="list"):
            await container.user_dao().query().all()
        findings = container.sql_monitor().findings
        assert findings.budgets["list"] == findings.counts[BUDGET] == 1


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_a_monitor_that_breaks_breaks_nothing_else(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr(container.sql_monitor().shapes, "of", broken)
    assert await container.user_dao().query().all() == []
    assert container.sql_monitor().errors["RuntimeError"] >= 1


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_two_containers_on_one_engine_see_their_own_sessions_alone(
    container: Container, settings: Settings
) -> None:
    other = Container(settings=settings)
    with other.engine.override(container.engine()):
        async with running(other):
            other.session_factory().engine()
            await container.user_dao().query().all()
            assert container.sql_monitor().shapes.kinds["SELECT users"].ok == 1
            assert "SELECT users" not in other.sql_monitor().shapes.kinds


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_a_monitor_that_is_off_records_nothing(settings: Settings) -> None:
    database = settings.database.model_copy(update={"monitor": False})
    async with running(Container(settings=settings.model_copy(update={"database": database}))) as container:
        await container.user_dao().query().all()
        assert len(container.sql_monitor().shapes) == 0
        assert container.sql_monitor().open == {}


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_the_picture_shows_what_is_open_and_no_value(container: Container) -> None:
    async with container.transaction()(name="shown") as tx:
        await tx.session.execute(text(f"SELECT id FROM users WHERE email = '{CANARY}'"))
        seen = picture(container.sql_monitor(), history=True)
    (unit,) = seen["open"]
    assert (unit["name"], unit["state"], unit["statements"]) == ("shown", "idle", 1)
    assert unit["opened_at"].startswith("tests/database/monitor/test_monitor.py:")
    assert seen["pool"]["in_use"] == 1
    assert CANARY not in str(seen)


def test_memory_is_bounded_whatever_texts_come() -> None:
    """The figure over 1,000,000 statements is printed by `make storm`."""
    shapes = Shapes()
    for number in range(20_000):
        text_ = f"SELECT c{number % 10_000} FROM t{number % 10_000}"
        shapes.of(text_, "postgresql").ended(float(number), 0.001, 1, OK)
    assert len(shapes) <= MAX_SHAPES
    assert len(shapes._texts) <= MAX_TEXTS
    assert sum(kind.ok for kind in shapes.kinds.values()) == 20_000, "what is forgotten was counted"


def test_a_threshold_that_is_none_is_refused() -> None:
    thresholds = SqlMonitor().thresholds
    with pytest.raises(ValueError, match="slow_sql is above 0"):
        thresholds.slow_sql = 0
    with pytest.raises(AttributeError, match="no threshold slow"):
        thresholds.slow = 1

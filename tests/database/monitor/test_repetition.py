"""N+1: planted shapes are found with their line, and what only looks alike is not."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import select, text

from containers import Container
from domain import User
from tests.database.monitor.repetitions import SHAPES, TIMES, Planted, plant
from unitwork.models import SYSTEM, acting_as
from unitwork.monitor.findings.finding import REPEATED
from unitwork.monitor.work import work


def line_of(shape: Callable[..., Any]) -> int:
    """Where the shape says `# here`."""
    lines, first = inspect.getsourcelines(shape)
    (found,) = (first + number for number, line in enumerate(lines) if line.rstrip().endswith("# here"))
    return found


def found(container: Container) -> list[dict[str, Any]]:
    return [finding.facts for finding in container.sql_monitor().findings.latest(REPEATED)]


def test_there_are_twenty_shapes() -> None:
    assert len(SHAPES) == 20


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
async def test_a_planted_repetition_is_found_with_its_line(
    container: Container, shape: Callable[[Planted], Awaitable[None]]
) -> None:
    planted = await plant(container)
    assert found(container) == [], "planting is no repetition"
    await shape(planted)
    (finding,) = found(container)
    assert finding["call_site"] == f"tests/database/monitor/repetitions.py:{line_of(shape)}"
    assert finding["times"] >= container.sql_monitor().thresholds.repeated_sql
    assert finding["times"] == TIMES


async def test_a_repetition_tells_the_lines_around_its_line(container: Container) -> None:
    planted = await plant(container)

    async def email_of(number: int) -> str | None:
        return (await container.user_dao().get(number)).email

    async with container.transaction()(read_only=True):
        for number in planted.ids:
            await email_of(number)  # around
    (finding,) = found(container)
    source = inspect.getsourcelines(test_a_repetition_tells_the_lines_around_its_line)
    (around,) = (source[1] + number for number, line in enumerate(source[0]) if line.rstrip().endswith("# around"))
    assert finding["stack"][0] == finding["call_site"]
    assert finding["stack"][1] == f"tests/database/monitor/test_repetition.py:{around}"


async def test_the_same_repetition_in_many_requests_is_one_group(container: Container) -> None:
    planted = await plant(container)
    for _ in range(3):
        with work("request"):
            for number in planted.ids:
                await container.user_dao().get(number)
    (finding,) = found(container)
    assert finding["scopes"] == 3
    assert container.sql_monitor().findings.counts[REPEATED] == 3


async def test_pages_batches_and_bulk_chunks_are_no_repetition(container: Container) -> None:
    planted = await plant(container)
    dao = container.user_dao()
    with acting_as(SYSTEM), work("request"):
        for number in range(1, 15):
            await dao.query().order_by("id").offset(number - 1).limit(3).all()
        cursor, pages = None, 0
        while pages == 0 or cursor is not None:
            page = await dao.query().order_by("id").after(cursor, 1)
            cursor, pages = page.next_cursor, pages + 1
        assert pages == TIMES
        for number in range(12):
            await dao.query().in_("id", planted.ids[number : number + 2] or planted.ids[:2]).all()
        async with container.transaction()() as tx:
            for number in range(12):
                tx.session.add(User.create({"email": f"more{number}@example.com"}))
                await tx.session.flush()
            await tx.session.execute(
                text("UPDATE users SET display_name = :name WHERE id = :id"),
                [{"name": "x", "id": number} for number in planted.ids],
            )
    assert found(container) == [facts for facts in found(container) if "users.id IN (?)" in facts["statement"]], (
        "a list of one is one"
    )


async def test_lone_reads_outside_requests_are_nobodys_repetition(container: Container) -> None:
    planted = await plant(container)
    for number in planted.ids:
        await container.user_dao().get(number)
    assert found(container) == []


async def test_two_lines_that_ask_alike_are_two(container: Container) -> None:
    planted = await plant(container)
    container.sql_monitor().thresholds.repeated_sql = TIMES
    async with container.transaction()() as tx:
        for number in planted.ids[: TIMES // 2]:
            await tx.session.execute(select(User.email).where(User.id == number))
        for number in planted.ids[TIMES // 2 :]:
            await tx.session.execute(select(User.email).where(User.id == number))
    assert found(container) == []


async def test_the_threshold_may_be_changed_while_it_runs(container: Container) -> None:
    planted = await plant(container)
    thresholds = container.sql_monitor().thresholds
    thresholds.repeated_sql = None
    async with container.transaction()():
        for number in planted.ids:
            await container.user_dao().get(number)
    assert found(container) == []
    thresholds.repeated_sql = 3
    async with container.transaction()():
        for number in planted.ids[:3]:
            await container.user_dao().get(number)
    assert [facts["times"] for facts in found(container)] == [3]
    with pytest.raises(ValueError, match="repeated_sql is above 1"):
        thresholds.repeated_sql = 1

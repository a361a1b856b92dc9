"""Suspensions: a walk over every suspension point of a kind of work, cancelling at each, with the verdicts after each.

`walk(...)` gives back what it saw; a test asks that `problems` is empty. The pool has one connection, so that a leaked
one stops the next user.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import text

from app.long_lived import long_lived
from containers import Container, running
from settings import Settings
from tests.faults.leaks import LeaksFound, no_leaks
from tests.faults.ledger import create_ledger, parts_stored
from tests.faults.percentiles import percentiles
from tests.faults.stepper import Ended, Style, step
from tests.faults.work import Told, Work

MANY: Final = 500
"""No unit has more suspension points; a walk that gets here runs in circles."""
CLOSING: Final = 5.0
ENOUGH: Final = 5
"""After so many points with problems a walk ends: each may have cost seconds."""


@dataclass
class Walk:
    """What a walk saw."""

    cancellations: int = 0
    problems: list[str] = field(default_factory=list)
    cleanups: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        back = percentiles(self.cleanups)
        return f"{self.cancellations} cancellations, {len(self.problems)} problems, control back: {back}"


def pinging(settings: Settings) -> Settings:
    """The same, and each connection is checked each time it is taken from the pool."""
    return settings.model_copy(update={"database": settings.database.model_copy(update={"ping_after_idle": 0.0})})


async def kills_pooled(container: Container) -> Callable[[], None]:
    """Ends the connection in the pool, which its driver then knows (PostgreSQL)."""
    async with container.engine().connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
    return driver.terminate  # type: ignore[no-any-return]  # asyncpg has no types


async def walk(
    settings: Settings,
    work: Work,
    styles: Sequence[Style],
    *,
    warm: bool,
    first: Callable[[Container], Awaitable[Callable[[], None]]] | None = None,
) -> Walk:
    """Cancel the work at its suspensions 1, 2, … up to the last, each with the next of the styles (one: always that).

    Cold: the pool is empty at each point. Warm: its connection has just done the same work. What `first`
    gives is called at the beginning of the work.
    """
    walked = Walk()
    told: list[Told] = []
    own = settings.model_copy(
        update={"database": settings.database.model_copy(update={"pool_size": 1, "max_overflow": 0})}
    )
    async with AsyncExitStack() as stack:
        stack.enter_context(long_lived())
        observer = await stack.enter_async_context(running(Container(settings=settings)))
        await create_ledger(observer)
        shared: Container | None = None
        fresh = await stack.enter_async_context(AsyncExitStack())
        for point, style in zip(range(1, MANY), itertools.cycle(styles)):
            if shared is None:
                shared = await fresh.enter_async_context(running(Container(settings=own)))
            if warm:
                await work.run(shared, Told(f"warm {point}"))
            hurt = None if first is None else await first(shared)
            unit = Told(f"{work} {style} {point}")
            told.append(unit)
            went_on, problems = await _cancel_at(point, style, work, shared, unit, walked, hurt)
            walked.problems += [f"{unit.unit}: {problem}" for problem in problems]
            if problems or not warm:
                shared = None
                await _left(fresh, walked)
            if not went_on or len(walked.problems) >= ENOUGH:
                break
        stored = await parts_stored(observer)
    for unit in told:
        if (wrong := unit.wrong(stored[unit.unit], writes=work.writes)) is not None:
            walked.problems.append(wrong)
    return walked


async def _left(fresh: AsyncExitStack, walked: Walk) -> None:
    """The container is closed, which what was left behind must not hinder."""
    try:
        async with asyncio.timeout(CLOSING):
            await fresh.aclose()
    except TimeoutError:
        walked.problems.append(f"the container was not closed within {CLOSING:g} s")


async def _cancel_at(
    point: int,
    style: Style,
    work: Work,
    container: Container,
    unit: Told,
    walked: Walk,
    hurt: Callable[[], None] | None,
) -> tuple[bool, list[str]]:
    """Whether there may be another point, and what is wrong after this one."""
    problems: list[str] = []
    reached = True

    async def run() -> None:
        if hurt is not None:
            hurt()
        await work.run(container, unit)

    try:
        async with no_leaks(container.engine(), settle=2):
            steps = await step(run, at=point, style=style)
            reached = steps.delivered or steps.ended is not Ended.RESULT
            if steps.delivered:
                walked.cancellations += 1
                walked.cleanups.append(steps.cleanup)
            if not steps.honest:
                problems.append(f"ended in {steps.ended} {steps.error!r}, delivered: {steps.delivered}")
    except LeaksFound as leaks:
        problems.append(f"left behind: {leaks}")
    try:
        async with asyncio.timeout(2), container.session_provider()() as session:
            await session.execute(text("SELECT 1"))
    except Exception as error:
        problems.append(f"the next user got {error!r}")
    return reached or steps.suspensions >= point, problems

"""Cancelled at every suspension point: nothing is left behind, and the outcome is what is stored.

Here each point is cancelled once, in the next of the five styles; every point in every style is in `make storm`.
"""

import asyncio

import pytest
import uvloop

from settings import Settings
from tests.faults.stepper import Style
from tests.faults.suspensions import Walk, kills_pooled, pinging, walk
from tests.faults.work import EVERY_WORK, READS, WRITES, Work

STYLES = tuple(Style)


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize("work", EVERY_WORK, ids=str)
async def test_cancelled_at_every_suspension_nothing_is_left_and_the_outcome_is_what_is_stored(
    settings: Settings, work: Work, *, warm: bool
) -> None:
    judge(await walk(settings, work, STYLES, warm=warm))


@pytest.mark.parametrize("style", [Style.TWICE, Style.LEVEL, Style.ANYIO])
async def test_so_it_is_when_its_connection_is_checked_first(settings: Settings, style: Style) -> None:
    """Cancelled again, too, while what the first cancellation broke is put in order."""
    judge(await walk(pinging(settings), READS, (style,), warm=True))


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize("style", [Style.ONCE, Style.ANYIO])
async def test_so_it_is_when_its_connection_had_died_in_the_pool(settings: Settings, style: Style) -> None:
    judge(await walk(settings, READS, (style,), warm=True, first=kills_pooled))


def test_so_it_is_on_uvloop(settings: Settings) -> None:
    async def walked() -> Walk:
        return await walk(settings, WRITES, STYLES, warm=True)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        judge(runner.run(walked()))


def judge(walked: Walk) -> None:
    print(walked)
    assert not walked.problems, "\n".join(walked.problems)
    assert walked.cancellations > 0

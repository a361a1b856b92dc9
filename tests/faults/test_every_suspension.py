"""Cancelled at every suspension point: nothing is left behind, and the outcome is what is stored.

Here each point is cancelled once, in the next of the five styles; every point in every style is in `make storm`.
"""

import asyncio

import pytest
import uvloop

from settings import Settings
from tests.faults.stepper import Style
from tests.faults.suspensions import Walk, walk
from tests.faults.work import EVERY_WORK, WRITES, Work

STYLES = tuple(Style)


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize("work", EVERY_WORK, ids=str)
async def test_cancelled_at_every_suspension_nothing_is_left_and_the_outcome_is_what_is_stored(
    settings: Settings, work: Work, *, warm: bool
) -> None:
    judge(await walk(settings, work, STYLES, warm=warm))


def test_so_it_is_on_uvloop(settings: Settings) -> None:
    async def walked() -> Walk:
        return await walk(settings, WRITES, STYLES, warm=True)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        judge(runner.run(walked()))


def judge(walked: Walk) -> None:
    print(walked)
    assert not walked.problems, "\n".join(walked.problems)
    assert walked.cancellations > 0

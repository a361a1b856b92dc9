"""Every suspension point of every kind of work, in every style, cold, warm and pinged, on asyncio and uvloop."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from settings import Settings
from tests.faults.stepper import Style
from tests.faults.suspensions import Walk, pinging, walk
from tests.faults.work import EVERY_WORK, Work

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("pool", ["cold", "warm", "pinged"])
@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize("work", EVERY_WORK, ids=str)
def test_cancelled_at_every_suspension_in_this_style_nothing_is_left(
    settings: Settings, work: Work, style: Style, loop: str, pool: str
) -> None:
    make: Callable[[], asyncio.AbstractEventLoop] = LOOPS[loop]

    async def walked() -> Walk:
        return await walk(pinging(settings) if pool == "pinged" else settings, work, (style,), warm=pool != "cold")

    with asyncio.Runner(loop_factory=make) as runner:
        seen = runner.run(walked())
    print(f"\n{work}, {style}, {loop}, {pool}: {seen}")
    assert not seen.problems, "\n".join(seen.problems)
    assert seen.cancellations > 0

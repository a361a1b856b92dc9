"""Every suspension point of every kind of work, in every style, cold and warm, on asyncio and uvloop."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from settings import Settings
from tests.faults.stepper import Style
from tests.faults.suspensions import Walk, walk
from tests.faults.work import EVERY_WORK, Work

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize("work", EVERY_WORK, ids=str)
def test_cancelled_at_every_suspension_in_this_style_nothing_is_left(
    settings: Settings, work: Work, style: Style, loop: str, *, warm: bool
) -> None:
    make: Callable[[], asyncio.AbstractEventLoop] = LOOPS[loop]

    async def walked() -> Walk:
        return await walk(settings, work, (style,), warm=warm)

    with asyncio.Runner(loop_factory=make) as runner:
        seen = runner.run(walked())
    print(f"\n{work}, {style}, {loop}: {seen}")
    assert not seen.problems, "\n".join(seen.problems)
    assert seen.cancellations > 0

"""Teardown: the end of a unit whose owner doesn't end it.

asyncio closes a dropped generator in another task, and an exit stack may be closed by any. The owner may be inside a
driver call then, whose connection nobody else may touch. So a task of its own takes the unit over: the owner's next use
is refused, its call comes to its end, or is broken off after the grace, and then the unit is rolled back.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from unitwork.backends import interruption
from unitwork.errors import SessionBelongsToAnotherTask
from unitwork.sessions.session import ProvidedSession
from unitwork.transactions import ending
from unitwork.unit import Unit

LOOK: Final = 0.002
"""Seconds between two looks at whether the owner's call has ended."""
WAIT: Final = 1.0
"""Seconds that whoever comes to end somebody else's unit waits for it; what takes longer goes on by itself."""

log = logging.getLogger("unitwork.database")


def tear_down(session: ProvidedSession, unit: Unit, left: Callable[[Unit], object]) -> "asyncio.Task[None]":
    """Take a unit that hasn't ended over from its owner, and roll it back; `left` is called when its hooks have run.
    Safe to call again.
    """
    if unit.teardown is None:
        foreign = unit.belongs_to_another()
        unit.abandoned = True
        unit.teardown = asyncio.get_running_loop().create_task(_tear_down(session, unit, foreign, left))
        unit.opener, unit.task = unit.task, unit.teardown
        log.warning("rolled back, as its block was not left by the task that entered it: %s", unit.call_site)
    return unit.teardown


async def torn_down(teardown: "asyncio.Task[None]") -> None:
    """Wait until it has been, for `WAIT` at most."""
    await asyncio.wait((teardown,), timeout=WAIT)


async def _tear_down(
    session: ProvidedSession, unit: Unit, error: SessionBelongsToAnotherTask, left: Callable[[Unit], object]
) -> None:
    try:
        await _owners_call_has_ended(unit)
        try:
            await ending.roll_back(session, unit, error)
        finally:
            if unit.root.after_rollback:
                await ending.run_hooks(unit)
    finally:
        left(unit)


async def _owners_call_has_ended(unit: Unit) -> None:
    """Its call is broken off after the grace. A wait for a connection of the pool is none that could be: it holds
    nothing, and ends after the pool's timeout.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + unit.grace
    while unit.carried or unit.executing or unit.in_function:
        await asyncio.sleep(LOOK)
        if clock() > until:
            interruption.break_off_ending(unit)
            until = clock() + unit.grace

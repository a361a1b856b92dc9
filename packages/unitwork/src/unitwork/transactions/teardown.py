"""Teardown: end a unit whose owner doesn't end it.

asyncio closes a dropped generator in another task, and any task may close an exit stack. The owner may be inside a
driver call then, and nobody else may use that connection. So a separate task takes the unit over: the owner's next use
is refused, its running call ends or is interrupted after the grace, and then the unit is rolled back.
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

POLL_INTERVAL_SECONDS: Final = 0.002
"""Seconds between two checks of the owner's call."""
MAX_WAIT_SECONDS: Final = 1.0
"""Seconds that a task which leaves another task's block waits for its teardown, which then goes on in the
background.
"""

log = logging.getLogger("unitwork.database")


def tear_down(session: ProvidedSession, unit: Unit, left: Callable[[Unit], object]) -> "asyncio.Task[None]":
    """Take a unit over from its owner and roll it back; `left` is called after its hooks have run. Safe to call
    again.
    """
    if unit.teardown is None:
        refusal = unit.belongs_to_another()
        unit.abandoned = True
        unit.teardown = asyncio.get_running_loop().create_task(_tear_down(session, unit, refusal, left))
        unit.opener, unit.task = unit.task, unit.teardown
        log.warning("rolled back, as its block was not left by the task that entered it: %s", unit.call_site)
    return unit.teardown


async def torn_down(teardown: "asyncio.Task[None]") -> None:
    """Wait for a teardown, for at most `MAX_WAIT_SECONDS`."""
    await asyncio.wait((teardown,), timeout=MAX_WAIT_SECONDS)


async def _tear_down(
    session: ProvidedSession, unit: Unit, error: SessionBelongsToAnotherTask, left: Callable[[Unit], object]
) -> None:
    try:
        await _wait_for_owners_call(unit)
        try:
            await ending.roll_back(session, unit, error)
        finally:
            if unit.root.after_rollback:
                await ending.run_hooks(unit)
    finally:
        left(unit)


async def _wait_for_owners_call(unit: Unit) -> None:
    """Wait for the owner's running call, and interrupt it after the grace.

    A wait for a connection of the pool isn't interrupted: it holds nothing, and ends with the pool's timeout.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + unit.grace
    while unit.carried or unit.executing or unit.in_function:
        await asyncio.sleep(POLL_INTERVAL_SECONDS)
        if clock() > until:
            interruption.interrupt_ending(unit)
            until = clock() + unit.grace

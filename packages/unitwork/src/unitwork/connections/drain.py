"""Drain: when a container ends, its open units get time to end too; then they are cancelled."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from unitwork.connections.holders import description
from unitwork.errors import ContainerClosed
from unitwork.unit import Unit

TIMEOUT: Final = 10.0
"""Seconds, where the settings say nothing else."""
CANCELLED_WITHIN: Final = 1.0
"""Seconds that a cancelled unit has: a few times the grace. What takes longer loses its connection."""
LOOK: Final = 0.01
"""Seconds between two looks at what is still open."""

log = logging.getLogger("unitwork.database")


class Drain:
    """Of one container. Knows its units from their block's beginning until their hooks have run."""

    def __init__(self, timeout: Callable[[], float] | None = None) -> None:
        self._timeout_in_force = timeout
        self._timeout = TIMEOUT
        self._open: set[Unit] = set()
        self._since: float | None = None
        self._closing = False
        self._hurried = False
        self.announced = asyncio.Event()
        """Set from then on: what would go on without end ends by itself."""

    def read_timeout(self) -> None:
        """Ask for the timeout in force. Raises `SettingsError` where there is none."""
        if self._timeout_in_force is not None:
            self._timeout = self._timeout_in_force()

    def admit(self, unit: Unit) -> None:
        """The unit begins. Raises `ContainerClosed` once the drain has begun, unless the running task has a unit open
        already: what that needs for its end may begin.
        """
        if self._closing and not any(other.mine() for other in self._open):
            raise ContainerClosed(closing=True)
        self._open.add(unit)

    def left(self, unit: Unit) -> None:
        """The unit has ended, and so have its hooks."""
        self._open.discard(unit)

    def announce(self) -> None:
        """The end is near: the drain's time runs from here. Units may begin until it starts."""
        self.announced.set()
        if self._since is None:
            self._since = asyncio.get_running_loop().time()

    def hurry(self) -> None:
        """Somebody can't wait any longer: cancel now."""
        self._hurried = True

    async def run(self, leaving: "asyncio.Task[object] | None") -> None:
        """Let nothing begin, and wait until the units of all tasks but the leaving one have ended, for the timeout;
        then cancel their tasks and wait `CANCELLED_WITHIN` more. What had to be cancelled and what is left is logged.
        """
        with suppress(Exception):  # a container closes whatever its settings have become
            self.read_timeout()
        self.announce()
        self._closing = True
        clock = asyncio.get_running_loop().time
        until = (self._since or 0) + self._timeout
        while self._running(leaving) and not self._hurried and clock() < until:
            await self._look_again()
        late = self._running(leaving)
        for task in {unit.task for unit in late}:
            # One that was cancelled by others cleans up already.
            if task is not None and not task.cancelling():
                task.cancel("the container is being closed")
        until = clock() + CANCELLED_WITHIN
        while self._running(leaving) and clock() < until:
            await self._look_again()
        self._report(late)

    async def _look_again(self) -> None:
        try:
            await asyncio.sleep(LOOK)
        except asyncio.CancelledError:
            # The event loop is being closed. What follows is bounded, and must not be left out.
            self.hurry()

    def _running(self, leaving: "asyncio.Task[object] | None") -> list[Unit]:
        """The open units that can still end: whoever leaves can't, nor can a task that is done."""
        return [
            unit for unit in self._open if unit.task is not None and unit.task is not leaving and not unit.task.done()
        ]

    def _report(self, late: Iterable[Unit]) -> None:
        cancelled = [unit for unit in late if unit not in self._open]
        if cancelled:
            log.warning("cancelled when the container closed: %s", "; ".join(description(cancelled)))
        if self._open:
            left = "; ".join(description(self._open))
            log.warning("still open when the container closed, their connections are dropped: %s", left)

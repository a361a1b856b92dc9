"""Drain: give a container's open units time to end when it closes; then cancel them."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from unitwork.connections.holders import description
from unitwork.errors import ContainerClosed
from unitwork.unit import Unit

DEFAULT_TIMEOUT_SECONDS: Final = 10.0
"""Drain timeout in seconds, where no settings give one."""
CANCEL_TIMEOUT_SECONDS: Final = 1.0
"""Seconds that cancelled units get to end: a few times the cancel grace. Then their connections are dropped."""
POLL_INTERVAL_SECONDS: Final = 0.01
"""Seconds between two checks of what is still open."""

log = logging.getLogger("unitwork.database")


class Drain:
    """Drain of one container. Tracks its units from the beginning of their block until their hooks have run."""

    def __init__(self, timeout: Callable[[], float] | None = None) -> None:
        self._timeout_in_force = timeout
        self._timeout = DEFAULT_TIMEOUT_SECONDS
        self._open: set[Unit] = set()
        self._since: float | None = None
        self._closing = False
        self._hurried = False
        self.announced = asyncio.Event()
        """Set once shutdown was announced; loops without an end of their own stop then."""

    def read_timeout(self) -> None:
        """Read the timeout in force. Raises `SettingsError` if the settings can't be read."""
        if self._timeout_in_force is not None:
            self._timeout = self._timeout_in_force()

    def admit(self, unit: Unit) -> None:
        """Register a unit that begins. Raises `ContainerClosed` once the drain has begun, unless the running task
        already has an open unit: whatever that needs to end is still admitted.
        """
        if self._closing and not any(other.mine() for other in self._open):
            raise ContainerClosed(closing=True)
        self._open.add(unit)

    def left(self, unit: Unit) -> None:
        """Unregister a unit whose hooks have run."""
        self._open.discard(unit)

    def announce(self) -> None:
        """Announce shutdown and start the drain timer; units are still admitted."""
        self.announced.set()
        if self._since is None:
            self._since = asyncio.get_running_loop().time()

    def hurry(self) -> None:
        """Stop waiting and cancel what is still open."""
        self._hurried = True

    async def run(self, leaving: "asyncio.Task[object] | None") -> None:
        """Admit no more units and wait, for at most the timeout, until the units of all tasks but the leaving one have
        ended.

        Then cancel their tasks and wait at most `CANCEL_TIMEOUT_SECONDS` more. Log what had to be cancelled and what is
        still open.
        """
        with suppress(Exception):  # unreadable settings must not keep a container from closing
            self.read_timeout()
        self.announce()
        self._closing = True
        clock = asyncio.get_running_loop().time
        until = (self._since or 0) + self._timeout
        while self._running(leaving) and not self._hurried and clock() < until:
            await self._sleep()
        late = self._running(leaving)
        for task in {unit.task for unit in late}:
            # A task that others have cancelled is cleaning up already.
            if task is not None and not task.cancelling():
                task.cancel("the container is being closed")
        until = clock() + CANCEL_TIMEOUT_SECONDS
        while self._running(leaving) and clock() < until:
            await self._sleep()
        self._report(late)

    async def _sleep(self) -> None:
        try:
            await asyncio.sleep(POLL_INTERVAL_SECONDS)
        except asyncio.CancelledError:
            # The event loop is being closed. The rest is bounded in time and must still run.
            self.hurry()

    def _running(self, leaving: "asyncio.Task[object] | None") -> list[Unit]:
        """Return the open units that can still end: not those of the leaving task, nor of a finished task."""
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

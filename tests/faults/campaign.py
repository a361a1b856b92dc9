"""Campaign: units cancelled at random moments by several workers over one pool, and what became of each.

    campaign = Campaign(container, work, styles, seed=7)
    await campaign.run(200)          # until 200 units were really cancelled
    await campaign.problems()        # empty is what a test wants

A unit counts once a cancellation was thrown into it; the others ended first and are only checked. The moment is drawn
from zero to a little more than a unit takes, however busy the loop is: the range follows what is seen, so that about a
quarter of the units end first and each part of a unit, COMMIT included, gets its share.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

import anyio
from sqlalchemy import event

from app.long_lived import long_lived
from containers import Container
from tests.faults.ledger import parts_stored
from tests.faults.percentiles import percentiles
from tests.faults.work import Told, Work
from unitwork import Outcome

PATIENCE: Final = 30.0
"""Seconds after which a unit counts as hung."""


class How(StrEnum):
    """Who cancels."""

    NATIVE = "native"
    DOUBLE = "double"
    """`Task.cancel()` twice, the second a moment later."""
    TIMEOUT = "timeout"
    """`asyncio.timeout` around the unit."""
    ANYIO = "anyio"
    """An AnyIO scope around the unit."""
    GROUP = "group"
    """A sibling in the unit's AnyIO task group fails."""


class Campaign:
    """One run over one container."""

    def __init__(
        self, container: Container, work: Work, styles: Sequence[How], *, seed: int, workers: int = 12
    ) -> None:
        self._container = container
        self._work = work
        self._styles = styles
        self._workers = workers
        self._random = random.Random(seed)
        self._seed = seed
        self._told: list[Told] = []
        self._wrong: list[str] = []
        self._usual = 0.0
        self.cancelled = 0
        self.reconnects = 0
        self.cleanups: list[float] = []
        """Seconds from a cancellation until its caller had control again."""

    def __str__(self) -> str:
        outcomes = Counter(str(told.outcome) for told in self._told)
        return (
            f"seed {self._seed}: {self.cancelled} of {len(self._told)} units of '{self._work}' cancelled "
            f"({', '.join(self._styles)}), outcomes {dict(outcomes)}, {self.reconnects} reconnects, "
            f"control back: {percentiles(self.cleanups)}"
        )

    async def run(self, count: int) -> None:
        """Until so many units were cancelled."""
        await self._warm_up()
        engine = self._container.engine().sync_engine
        event.listen(engine, "connect", self._count_reconnect)
        try:
            with long_lived():  # as a server runs; this process's own collections take longer than what is measured
                await asyncio.gather(*(self._worker(count) for _ in range(self._workers)))
        finally:
            event.remove(engine, "connect", self._count_reconnect)

    async def problems(self) -> list[str]:
        """Half units, outcomes that aren't the table's, hooks too many or too few, swallowed cancellations."""
        stored = await parts_stored(self._container)
        wrong = [told.wrong(stored[told.unit], writes=self._work.writes) for told in self._told]
        return self._wrong + [problem for problem in wrong if problem is not None]

    def outlasted(self, grace: float) -> int:
        """Cancellations that waited longer than the grace for their statement: each may have cost its connection."""
        return sum(control_back > grace for control_back in self.cleanups)

    @property
    def committed(self) -> int:
        """How many units say so of themselves."""
        return sum(told.outcome is Outcome.COMMITTED for told in self._told)

    async def _warm_up(self) -> None:
        """Every connection of the pool opened, and an undisturbed unit measured as it runs beside the others."""
        capacity = self._container.settings().database.pool_size

        async def undisturbed(number: int) -> float:
            begun = time.perf_counter()
            await self._work.run(self._container, Told(f"warm-up {number}"))
            return time.perf_counter() - begun

        async def held(started: asyncio.Barrier) -> None:
            async with self._container.session_provider()(read_only=True) as session:
                await session.connection()
                await started.wait()

        barrier = asyncio.Barrier(capacity)
        await asyncio.gather(*(held(barrier) for _ in range(capacity)))
        for _ in range(2):
            took = await asyncio.gather(*(undisturbed(number) for number in range(self._workers)))
        self._usual = sorted(took)[len(took) // 2]

    async def _worker(self, count: int) -> None:
        while self.cancelled < count and len(self._told) < 20 * count:
            how = self._styles[len(self._told) % len(self._styles)]
            told = Told(f"{how} {len(self._told)}")
            self._told.append(told)
            await self._one(how, told, self._random.uniform(0, self._usual))

    async def _one(self, how: How, told: Told, delay: float) -> None:
        cut = _Cut()
        task = asyncio.create_task(self._surrounded(how, told, delay, cut))
        if how in {How.NATIVE, How.DOUBLE}:
            await asyncio.sleep(delay)
            cut.cancelled = task.cancel()
            cut.at = time.perf_counter()
            if how is How.DOUBLE:
                await asyncio.sleep(self._random.uniform(0, 0.002))
                task.cancel()
        _, pending = await asyncio.wait((task,), timeout=PATIENCE)
        if pending:
            self._wrong.append(f"{told.unit}: no control back within {PATIENCE:g} s")
            return
        self._judge(told, cut, task)

    async def _surrounded(self, how: How, told: Told, delay: float, cut: "_Cut") -> None:
        """The unit inside whatever cancels it. Notes the moment at which control came back."""
        try:
            match how:
                case How.TIMEOUT:
                    cut.at = time.perf_counter() + delay
                    async with asyncio.timeout(delay):
                        await self._unit(told, cut)
                case How.ANYIO:
                    with anyio.CancelScope() as scope:
                        asyncio.get_running_loop().call_later(delay, scope.cancel)
                        cut.at = time.perf_counter() + delay
                        await self._unit(told, cut)
                case How.GROUP:
                    cut.at = time.perf_counter() + delay
                    await _beside_a_failure(delay, self._unit(told, cut))
                case _:
                    await self._unit(told, cut)
        finally:
            cut.ended_at = time.perf_counter()

    async def _unit(self, told: Told, cut: "_Cut") -> None:
        try:
            await self._work.run(self._container, told)
        except asyncio.CancelledError:
            cut.delivered = True
            raise
        cut.finished = True

    def _judge(self, told: Told, cut: "_Cut", task: "asyncio.Task[None]") -> None:
        self._usual *= 1.05 if cut.delivered else 0.86
        if cut.delivered:
            self.cancelled += 1
            self.cleanups.append(max(cut.ended_at - cut.at, 0.0))
        told.ended()
        error = None if task.cancelled() else task.exception()
        if cut.cancelled and not task.cancelled():
            self._wrong.append(f"{told.unit}: the cancellation was swallowed, {error!r} came back")
        elif not cut.delivered and not cut.finished and not task.cancelled():
            self._wrong.append(f"{told.unit}: neither cancelled nor finished: {error!r}")

    def _count_reconnect(self, *_: Any) -> None:
        self.reconnects += 1


class _Cut:
    """What is known of one cancellation."""

    at = 0.0
    ended_at = 0.0
    cancelled = False
    """`Task.cancel` said that it would be thrown in."""
    delivered = False
    finished = False


async def _beside_a_failure(delay: float, unit: Any) -> None:
    """In a task group whose other task fails; the group cancels the unit and raises."""

    async def fail() -> None:
        await asyncio.sleep(delay)
        raise _SiblingFailedError

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(fail)
            await unit
            group.cancel_scope.cancel()
    except* _SiblingFailedError:
        pass


class _SiblingFailedError(Exception):
    pass

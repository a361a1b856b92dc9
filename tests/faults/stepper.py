"""Stepper: runs a coroutine in a task and cancels that task at its k-th suspension.

    steps = await step(unit)                              # uncancelled: steps.suspensions is n
    steps = await step(unit, at=3, style=Style.LEVEL)     # cancelled at the third

A suspension is a moment at which the task, or a task it has started meanwhile, gives control back to the event loop;
those of started tasks count as well, so that work which is done in a helper task is cut at each of its moments too. It
is always the first task that is cancelled, as its caller would do it, through `Task.cancel` on what it really waits
for: nothing stands between the task and the future. Works on any event loop that knows task factories (asyncio's,
uvloop). One stepper at a time on a loop.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


class Style(StrEnum):
    """How the task is cancelled at the k-th suspension."""

    ONCE = "once"
    """One `Task.cancel()`."""
    TWICE = "twice"
    """A second one at the task's next suspension."""
    LEVEL = "level"
    """Another one at every further suspension of the task."""
    ANYIO = "anyio"
    """The AnyIO cancel scope around the work is cancelled; it delivers again and again."""
    TIMEOUT = "timeout"
    """The `asyncio.timeout` around the work expires."""


class Ended(StrEnum):
    """How the task ended."""

    RESULT = "result"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    """`asyncio.timeout` made a TimeoutError of it."""
    ERROR = "error"
    HUNG = "hung"
    """It did not end within the patience; it is left running."""


@dataclass(frozen=True)
class Steps:
    """The report of one run."""

    suspensions: int
    """Of the task and of those it started, until it ended."""
    ended: Ended
    delivered: bool
    """Whether a cancellation was thrown into the task: then it must not end in a result."""
    cleanup: float
    """Seconds from the cancellation until the caller had control again; 0.0 without one."""
    error: BaseException | None = None

    @property
    def honest(self) -> bool:
        """Whether a delivered cancellation, and nothing else, came back to the caller."""
        return self.ended in {Ended.CANCELLED, Ended.TIMEOUT} if self.delivered else self.ended is Ended.RESULT


async def step(
    work: Callable[[], Coroutine[Any, Any, object]],
    *,
    at: int | None = None,
    style: Style = Style.ONCE,
    patience: float = 10.0,
) -> Steps:
    """Run `work()` in a task, cancelled at its suspension number `at` (from 1; None or beyond the last: never)."""
    loop = asyncio.get_running_loop()
    stepping = _Stepping(loop, at, style)
    factory = loop.get_task_factory()
    loop.set_task_factory(stepping.task)
    try:
        token = _stepping.set(stepping)
        stepping.root = loop.create_task(stepping.surrounded(work))
        _stepping.reset(token)
        await asyncio.wait((stepping.root,), timeout=patience)
    finally:
        stepping.over = True
        loop.set_task_factory(factory)
    return stepping.report()


class _Stepping:
    def __init__(self, loop: asyncio.AbstractEventLoop, at: int | None, style: Style) -> None:
        self._loop = loop
        self._at = at
        self._style = style
        self._scope: anyio.CancelScope | None = None
        self._clock: asyncio.Timeout | None = None
        self._count = 0
        self._since: float | None = None
        self._ended_at = 0.0
        self._cancels = 0
        self.root: asyncio.Task[Any] | None = None
        self.delivered = False
        self.over = False

    def task(self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> "asyncio.Task[Any]":
        """The loop's task factory: what the task starts is counted too."""
        counted = asyncio.iscoroutine(work) and _stepping.get() is self
        coroutine = _Counted(work, self, root=self.root is None) if counted else work
        return asyncio.Task(coroutine, loop=loop, **options)

    async def surrounded(self, work: Callable[[], Coroutine[Any, Any, object]]) -> Ended:
        """The work inside the scope or timeout that is to cancel it."""
        try:
            async with AsyncExitStack() as around:
                if self._style is Style.ANYIO:
                    self._scope = around.enter_context(anyio.CancelScope())
                if self._style is Style.TIMEOUT:
                    self._clock = await around.enter_async_context(asyncio.timeout(None))
                await work()
        finally:
            self._ended_at = time.perf_counter()
        return Ended.CANCELLED if self._scope is not None and self._scope.cancelled_caught else Ended.RESULT

    def suspended(self, *, root: bool) -> None:
        """The task, or one it started, is about to give control back."""
        if self.over:
            return
        self._count += 1
        if self._count == self._at:
            self._since = time.perf_counter()
            self._cancel()
        elif (
            root
            and self._cancels
            and (self._style is Style.LEVEL or (self._style is Style.TWICE and self.delivered and self._cancels == 1))
        ):
            self._cancel()

    def _cancel(self) -> None:
        """As soon as the task waits for what it is about to wait for."""
        self._cancels += 1
        if self._scope is not None:
            self._loop.call_soon(self._scope.cancel)
        elif self._clock is not None:
            self._clock.reschedule(self._loop.time())  # calls back at once
        elif self.root is not None:
            self._loop.call_soon(self.root.cancel)

    def report(self) -> Steps:
        """After the task has ended, or patience has."""
        error: BaseException | None = None
        if self.root is None or not self.root.done():
            ended = Ended.HUNG
        elif self.root.cancelled():
            ended = Ended.CANCELLED
        elif (error := self.root.exception()) is None:
            ended = self.root.result()
        else:
            ended = Ended.TIMEOUT if type(error) is TimeoutError else Ended.ERROR
        cleanup = 0.0 if self._since is None else max(self._ended_at - self._since, 0.0)
        return Steps(self._count, ended, self.delivered, cleanup, error)


_stepping: ContextVar[_Stepping | None] = ContextVar("stepping", default=None)


class _Counted(Coroutine[Any, Any, T]):
    """A coroutine that tells of its suspensions, and is otherwise the one inside."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], stepping: _Stepping, *, root: bool) -> None:
        self._coroutine = coroutine
        self._stepping = stepping
        self._root = root

    def send(self, value: Any) -> Any:
        awaited = self._coroutine.send(value)
        self._stepping.suspended(root=self._root)
        return awaited

    def throw(
        self,
        kind: Any,
        value: BaseException | object = None,
        traceback: TracebackType | None = None,
    ) -> Any:
        error = kind if isinstance(kind, BaseException) else value if isinstance(value, BaseException) else kind()
        if self._root and isinstance(error, asyncio.CancelledError):
            self._stepping.delivered = True
        awaited = self._coroutine.throw(error)
        self._stepping.suspended(root=self._root)
        return awaited

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()

    def __getattr__(self, name: str) -> Any:
        # What asyncio and AnyIO ask a coroutine for: its name, its frame, whether it runs.
        return getattr(self._coroutine, name)

"""shield: awaiting the driver so that a cancellation waits for the driver, and not for long.

A driver whose statement is cancelled half-way has lost its connection. So the cancellation is held back, by waiting on
a stand-in for the driver's future, until the statement's own end, or for the grace; after that the statement is broken
off. COMMIT, ROLLBACK and what gives a connection back are held to their end, and broken off likewise.
"""

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import Any, TypeVar

import anyio

from unitwork.backends import interruption
from unitwork.backends.shielded_task import ShieldedTask
from unitwork.unit import Unit

T = TypeVar("T")


@types.coroutine
def shield(
    work: Coroutine[Any, Any, T], unit: Unit, *, to_its_end: bool = False, within: float | None = None
) -> Generator[Any, Any, T]:
    """The result of `work`, which runs in the caller's own task.

    A cancellation (`Task.cancel`, a timeout, an AnyIO scope) goes into `work` at once while nothing is in flight, as in
    the queue for a connection. While the driver works for the unit, or for the pool on its way, or at any moment when
    `to_its_end`, it is raised after that; what `work` gave is dropped then. After the unit's grace, or `within`
    seconds, the driver is broken off.
    """
    held: _Held | None = None
    outermost, unit.carried = not unit.carried, True
    bound = None
    if within is not None:
        bound = asyncio.get_running_loop().call_later(within, interruption.break_off_ending, unit)
    proxy = _FutureProxy()
    try:
        future = work.send(None)
        while True:
            # Once a cancellation is held nothing more is begun, and what still comes puts things in order.
            shielded = to_its_end or unit.executing or held is not None or isinstance(future, ShieldedTask)
            # Without a future the driver lets others run, half-way through many rows, and is as busy.
            in_flight = shielded and future is not None
            arrived: BaseException | None = None
            if held is not None and in_flight:
                yield from held.waits_for(future)
            else:
                try:
                    yield proxy.of(future) if in_flight else future
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001 - for `work` to see, whatever it is
                    arrived = error
                if isinstance(arrived, asyncio.CancelledError) and shielded:
                    held = held or _Held(unit, arrived, ending=to_its_end)
                    arrived = None
                    if in_flight:
                        yield from held.waits_for(future)
            # What arrived in flight is the future's own error: `work` asks it itself.
            future = work.send(None) if arrived is None or in_flight else work.throw(arrived)
    except StopIteration as done:
        if held is not None:
            raise held.cause from None
        answer: T = done.value
        return answer if unit.teardown is None else _unless_taken(answer, unit, ending=to_its_end)
    except BaseException as error:
        if held is None:
            raise
        held.torn = held.broken_off and isinstance(error, asyncio.CancelledError)
        if error is held.cause:
            raise
        raise held.cause from error
    finally:
        if bound is not None:
            bound.cancel()
        if held is not None:
            held.release()
        if outermost:
            unit.carried = False


def _unless_taken(answer: T, unit: Unit, *, ending: bool) -> T:
    """For the owner; raises `SessionEnded` when the unit was taken from it meanwhile, as what it did is rolled back."""
    if not ending:
        raise unit.given_up() from None
    return answer


class _FutureProxy:
    """What the task waits for in the place of a driver's future: done when that is, but a cancellation only wakes the
    task. (asyncio takes any object with this attribute and these methods for a future.)
    """

    __slots__ = ("_asyncio_future_blocking", "_future", "_wake")

    def of(self, future: "asyncio.Future[Any]") -> "_FutureProxy":
        future._asyncio_future_blocking = False  # noqa: SLF001 - it is handed to no task
        self._asyncio_future_blocking = True
        self._future = future
        return self

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._future.get_loop()

    def add_done_callback(self, wake: Callable[[Any], object], *, context: Context | None = None) -> None:
        self._wake = wake, context
        self._future.add_done_callback(wake, context=context)

    def cancel(self, msg: Any = None) -> bool:
        """False has the task raise its CancelledError when it wakes."""
        wake, context = self._wake
        if self._future.remove_done_callback(wake):
            done = self._future.get_loop().create_future()
            done.set_result(None)
            done.add_done_callback(wake, context=context)
        return False


class _Held:
    """A cancellation that waits, and what is done when it has waited long enough."""

    def __init__(self, unit: Unit, cause: asyncio.CancelledError, *, ending: bool) -> None:
        self.cause = cause
        self.broken_off = False
        self.torn = False
        """Whether the driver was left in the middle of something."""
        self._unit = unit
        self._ending = ending
        self._future: asyncio.Future[Any] | None = None
        if not ending:
            unit.cancelled = cause
        # The scope keeps AnyIO from delivering its cancellation again and again.
        self._scope = anyio.CancelScope(shield=True)
        self._scope.__enter__()
        self._timer = asyncio.get_running_loop().call_later(unit.grace, self._break_off)

    def waits_for(self, future: "asyncio.Future[Any]") -> Generator[Any, Any, None]:
        """Until the future is done, whatever cancellations come."""
        self._future = future
        future._asyncio_future_blocking = False  # noqa: SLF001 - it is handed to no task
        while not future.done():
            proxy = future.get_loop().create_future()
            future.add_done_callback(partial(_wake, proxy))
            with suppress(asyncio.CancelledError):  # a later one must not take the first one's place
                yield from proxy

    def _break_off(self) -> None:
        self.broken_off = True
        self._timer = asyncio.get_running_loop().call_later(self._unit.grace, self._abandon)
        if self._ending:
            interruption.break_off_ending(self._unit)
        elif self._future is not None:
            interruption.break_off_statement(self._unit, self._future)

    def _abandon(self) -> None:
        """The driver doesn't react: leave it to the pool, which drops the connection."""
        self._timer = asyncio.get_running_loop().call_later(self._unit.grace, self._abandon)
        if self._future is not None:
            self._future.cancel()

    def release(self) -> None:
        self._timer.cancel()
        self._scope.__exit__(None, None, None)
        if not self._ending:
            self._unit.interrupted(self.cause, torn=self.torn)


def _wake(proxy: "asyncio.Future[None]", _future: "asyncio.Future[Any]") -> None:
    if not proxy.done():
        proxy.set_result(None)


async def shield_in_task(work: Coroutine[Any, Any, T], started: Callable[["asyncio.Task[T]"], None]) -> T:
    """The result of `work`, somebody else's code, run in a task of its own that `started` is told of.

    A cancellation that arrives meanwhile is raised once the work has ended, whatever it gave.
    """
    task = asyncio.get_running_loop().create_task(work)
    started(task)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError as cancelled:
        await _to_its_end(task)
        if not task.cancelled():
            task.exception()
        raise cancelled  # noqa: TRY201 - a later one must not take its place


async def _to_its_end(task: "asyncio.Task[Any]") -> None:
    # The scope keeps AnyIO from delivering again and again; the loop passes over further native ones.
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError:
                continue

"""shield: defer cancellation of a driver call until the call ends or the grace period expires.

A driver whose statement is cancelled half-way loses its connection. So the task waits on a proxy of the driver's
future, and the cancellation is held until the statement ends or the grace period expires; then the statement is
interrupted. COMMIT, ROLLBACK and the return of a connection are shielded to their end, and interrupted likewise.
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
from unitwork.remembered_error import let_go_of_frames
from unitwork.unit import Unit

T = TypeVar("T")


@types.coroutine
def shield(  # noqa: PLR0915 - runs for each statement; a helper function would add a call to each
    work: Coroutine[Any, Any, T], unit: Unit, *, to_its_end: bool = False, within: float | None = None
) -> Generator[Any, Any, T]:
    """Return the result of `work`, run in the caller's own task with cancellation deferred while the driver is busy.

    A cancellation (`Task.cancel`, a timeout, an AnyIO scope) is passed to `work` at once while nothing is in flight, as
    in the queue for a connection. While the driver works for the unit or for the pool, or always with `to_its_end`, it
    is raised after the driver call ends, and the result of `work` is dropped. After the unit's grace, or `within`
    seconds, the driver call is interrupted.
    """
    held: _DeferredCancellation | None = None
    arrived: BaseException | None = None
    future: Any = None
    outermost, unit.carried = not unit.carried, True
    bound = None
    if within is not None:
        bound = asyncio.get_running_loop().call_later(within, interruption.interrupt_ending, unit)
    proxy: Any = _FutureProxy()
    try:
        future = work.send(None)
        while True:
            # While a cancellation is held no statement starts, and whatever still runs is cleanup.
            shielded = to_its_end or unit.executing or held is not None or isinstance(future, ShieldedTask)
            # A bare `yield` without a future is the driver letting others run, half-way through many rows: it is busy
            # too.
            in_flight = shielded and future is not None
            arrived = None
            if held is not None and in_flight:
                yield from held.waits_for(future)
            else:
                try:
                    yield proxy.of(future) if in_flight else future
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001 - passed on to `work`, whatever it is
                    arrived = error
                if isinstance(arrived, asyncio.CancelledError) and shielded:
                    held = held or _DeferredCancellation(unit, arrived, ending=to_its_end)
                    arrived = None
                    if in_flight:
                        yield from held.waits_for(future)
            # An exception that arrived in flight is the future's own; `work` gets it from the future.
            future = work.send(None) if arrived is None or in_flight else work.throw(arrived)
    except StopIteration as done:
        if held is not None:
            raise held.cause from None
        answer: T = done.value
        return answer if unit.teardown is None else _unless_torn_down(answer, unit, ending=to_its_end)
    except BaseException as error:
        if outermost:
            let_go_of_frames(error)
        if held is None:
            raise
        held.torn = held.interrupted and isinstance(error, asyncio.CancelledError)
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
        # This frame is in the error's traceback: with the error in a variable it would keep itself, and all the others.
        held = arrived = future = proxy = None


def _unless_torn_down(answer: T, unit: Unit, *, ending: bool) -> T:
    """Return the answer to the owner. Raise `SessionEnded` if the unit was torn down meanwhile: its work is rolled
    back.
    """
    if not ending:
        raise unit.given_up() from None
    return answer


class _FutureProxy:
    """Future that the task awaits instead of a driver's: done when that one is, but a cancellation only wakes the task.

    asyncio accepts any object with this attribute and these methods as a future.
    """

    __slots__ = ("_asyncio_future_blocking", "_future", "_wake")

    def of(self, future: "asyncio.Future[Any]") -> "_FutureProxy":
        future._asyncio_future_blocking = False  # noqa: SLF001 - no task awaits it directly
        self._asyncio_future_blocking = True
        self._future = future
        return self

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._future.get_loop()

    def add_done_callback(self, wake: Callable[[Any], object], *, context: Context | None = None) -> None:
        self._wake = wake, context
        self._future.add_done_callback(wake, context=context)

    def cancel(self, msg: Any = None) -> bool:
        """Wake the task. Return False, which makes the task raise CancelledError when it wakes."""
        wake, context = self._wake
        if self._future.remove_done_callback(wake):
            done = self._future.get_loop().create_future()
            done.set_result(None)
            done.add_done_callback(wake, context=context)
        return False


class _DeferredCancellation:
    """A deferred cancellation, and the timers that interrupt the driver and then abandon it."""

    def __init__(self, unit: Unit, cause: asyncio.CancelledError, *, ending: bool) -> None:
        self.cause = cause
        self.interrupted = False
        self.torn = False
        """True if the driver was left in the middle of an operation."""
        self._unit = unit
        self._ending = ending
        self._future: asyncio.Future[Any] | None = None
        if not ending:
            unit.cancelled = cause
        # The scope stops AnyIO from delivering its cancellation again and again.
        self._scope = anyio.CancelScope(shield=True)
        self._scope.__enter__()
        self._timer = asyncio.get_running_loop().call_later(unit.grace, self._interrupt)

    def waits_for(self, future: "asyncio.Future[Any]") -> Generator[Any, Any, None]:
        """Wait until the future is done, whatever cancellations arrive."""
        self._future = future
        future._asyncio_future_blocking = False  # noqa: SLF001 - no task awaits it directly
        while not future.done():
            proxy = future.get_loop().create_future()
            future.add_done_callback(partial(_wake, proxy))
            with suppress(asyncio.CancelledError):  # a later cancellation is dropped: the first one is raised
                yield from proxy

    def _interrupt(self) -> None:
        self.interrupted = True
        self._timer = asyncio.get_running_loop().call_later(self._unit.grace, self._abandon)
        if self._ending:
            interruption.interrupt_ending(self._unit)
        elif self._future is not None:
            interruption.interrupt_statement(self._unit, self._future)

    def _abandon(self) -> None:
        """Cancel the driver's future: it didn't react to the interruption, and the pool drops the connection."""
        self._timer = asyncio.get_running_loop().call_later(self._unit.grace, self._abandon)
        if self._future is not None:
            self._future.cancel()

    def release(self) -> None:
        self._timer.cancel()
        self._scope.__exit__(None, None, None)
        if not self._ending:
            self._unit.interrupted(self.cause, torn=self.torn)
        self._future = None


def _wake(proxy: "asyncio.Future[None]", _future: "asyncio.Future[Any]") -> None:
    if not proxy.done():
        proxy.set_result(None)


async def shield_in_task(work: Coroutine[Any, Any, T], started: Callable[["asyncio.Task[T]"], None]) -> T:
    """Return the result of `work`, foreign code run in its own task, which is passed to `started`.

    A cancellation that arrives meanwhile is raised once the work has ended, whatever its result.
    """
    task = asyncio.get_running_loop().create_task(work)
    started(task)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError as cancelled:
        await _wait_until_done(task)
        if not task.cancelled():
            task.exception()
        raise cancelled  # noqa: TRY201 - the first cancellation is the one to raise


async def _wait_until_done(task: "asyncio.Task[Any]") -> None:
    # The scope stops AnyIO from delivering again and again; the loop ignores further native cancellations.
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError:
                continue

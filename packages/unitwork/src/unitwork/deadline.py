"""Deadline: the time by which a piece of work, such as a request, must have ended.

`within(seconds)` sets it for a block. The units of the block, in tasks started in it too, are then bounded by it as by
a `timeout` of their own, and none begins after it.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Final

from unitwork.errors import TransactionTimeout
from unitwork.unit import Unit

_deadline: Final[ContextVar[float | None]] = ContextVar("deadline", default=None)
"""The deadline by the event loop's clock; None without one."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Bound the units of the block to end within `seconds` from now, or by the enclosing block's deadline if that is
    earlier.

    A unit that is late raises `TransactionTimeout`, rolled back. A COMMIT under way is not interrupted, nor is a single
    write outside a transaction: what is answered as too late was not stored. Needs a running event loop.
    """
    own, around = asyncio.get_running_loop().time() + seconds, _deadline.get()
    token = _deadline.set(own if around is None else min(own, around))
    try:
        yield
    finally:
        _deadline.reset(token)


def lift_deadline() -> None:
    """Remove the deadline from the current context, for work that outlives its request."""
    _deadline.set(None)


def remaining() -> float | None:
    """Return the seconds left until the deadline, 0 after it; None without one."""
    deadline = _deadline.get()
    return None if deadline is None else max(deadline - asyncio.get_running_loop().time(), 0.0)


def time_left(unit: Unit) -> float | None:
    """Return the seconds left for a unit that begins; None without a deadline. Raises `TransactionTimeout` after it."""
    if _deadline.get() is None:
        return None
    left = remaining()
    if not left:
        raise TransactionTimeout(0.0, unit.call_site)
    return left


@asynccontextmanager
async def bounded(timeout: float | None, unit: Unit) -> AsyncIterator[None]:  # noqa: ASYNC109 - bounds the block
    """Raise `TransactionTimeout` when the block takes longer."""
    if timeout is None or math.isinf(timeout):
        yield
        return
    clock = asyncio.timeout(timeout)
    try:
        async with clock:
            yield
    except TimeoutError as error:
        if clock.expired():
            raise TransactionTimeout(timeout, unit.call_site) from error
        raise
    if clock.expired():
        # The block swallowed the cancellation; its time is over all the same.
        raise TransactionTimeout(timeout, unit.call_site)

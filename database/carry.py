"""carry: work that is finished even when its caller is cancelled."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


async def carry(work: Coroutine[Any, Any, T], started: Callable[["asyncio.Task[T]"], None]) -> T:
    """The result of `work`, run in a task of its own that `started` is told of.

    A cancellation that arrives meanwhile, of either kind (`Task.cancel`, an AnyIO scope), is raised once the work has
    ended, whatever it gave.
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

"""finish: a step that a cancellation must not leave half done."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


async def finish(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is run to its end; a cancellation that arrives meanwhile is raised afterwards."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        # The scope keeps AnyIO from delivering again and again; the loop passes over further native ones.
        with anyio.CancelScope(shield=True):
            while not task.done():
                try:
                    await asyncio.wait((task,))
                except asyncio.CancelledError:
                    continue
        if not task.cancelled():
            task.exception()
        raise

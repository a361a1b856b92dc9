"""Abandonment: detect a block that was dropped and will not be left in the task that entered it.

A dropped context manager is never left. A dropped async generator is left by another task, some turns of the event loop
later. Until then the first task's next work must not join its transaction.
"""

import asyncio
import contextlib
import gc
from collections.abc import AsyncGenerator, Iterable, Sequence
from types import FrameType
from typing import Any, Final
from weakref import WeakSet, ref

_CONTEXTLIB: Final = contextlib.__file__


def generators_of(frames: Iterable[FrameType]) -> "Sequence[ref[AsyncGenerator[Any, Any]]]":
    """Return weak references to the async generators of these frames. A generator that can't be found is omitted: its
    end is noticed when another task leaves the block.
    """
    return [ref(generator) for frame in frames if (generator := _generator_of(frame)) is not None]


def _generator_of(frame: FrameType) -> AsyncGenerator[Any, Any] | None:
    """Return a frame's generator; None if it can't be found.

    A frame has no reference to its generator before Python 3.14. `contextlib` has one, and so does the event loop,
    which tracks running generators to close them at its own end.
    """
    generator: AsyncGenerator[Any, Any] | None = getattr(frame, "f_generator", None)
    driver = frame.f_back
    if generator is None and driver is not None and driver.f_code.co_filename == _CONTEXTLIB:
        generator = getattr(driver.f_locals.get("self"), "gen", None)
        if getattr(generator, "ag_frame", None) is not frame:
            generator = None
    if generator is None:
        begun = (
            one for part in gc.get_referents(asyncio.get_running_loop()) if isinstance(part, WeakSet) for one in part
        )
        generator = next((one for one in begun if getattr(one, "ag_frame", None) is frame), None)
    return generator

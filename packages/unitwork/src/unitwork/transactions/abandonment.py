"""Abandonment: noticing that a block was let go of and will not be left in the task that entered it.

A context manager that is dropped is never left. An async generator that is dropped is left by another task, some turns
of the event loop later. In between its transaction must not be joined by what comes next in the first task.
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
    """The async generators whose frames these are. One that can't be found is left out: its end is noticed when another
    task comes to leave the block.
    """
    return [ref(generator) for frame in frames if (generator := _generator_of(frame)) is not None]


def _generator_of(frame: FrameType) -> AsyncGenerator[Any, Any] | None:
    """A frame doesn't know its generator before Python 3.14. `contextlib` does, and so does the event loop, which keeps
    those that have begun in order to close them at its own end.
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

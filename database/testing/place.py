"""Places of calls that reach us through SQLAlchemy: across greenlets, up to the line of the caller's own code."""

import asyncio
import sys
from pathlib import Path
from types import FrameType
from typing import Final

import greenlet
import sqlalchemy

from database.place import MACHINERY

_ASYNCIO: Final = str(Path(asyncio.__file__).parent)
_LOOP: Final = {"_run", "_run_once", "run_forever", "run_until_complete", "run"}
"""Functions of asyncio below which nothing called anything: a task begins there."""
_BELOW: Final = (*MACHINERY, str(Path(sqlalchemy.__file__).parent), "<sqlalchemy generated")


def asking_place() -> str | None:
    """`file:line` of the nearest frame that isn't machinery; None when the task has no such frame, as the one that
    ends a unit.
    """
    current: greenlet.greenlet | None = greenlet.getcurrent()
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - inspect.stack() reads source files
    while current is not None:
        while frame is not None:
            file = frame.f_code.co_filename
            if file.startswith(_ASYNCIO) and frame.f_code.co_name in _LOOP:
                return None
            if not file.startswith(_BELOW):
                return f"{file}:{frame.f_lineno}"
            frame = frame.f_back
        # A greenlet's outermost frame has no caller: that one waits in the parent.
        current = current.parent
        frame = None if current is None else current.gr_frame
    return None

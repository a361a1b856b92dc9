"""Places: the line of the caller's code that opened a block."""

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
MACHINERY: Final = (
    str(_HERE),
    str(_HERE.parent / "repositories"),
    contextlib.__file__,
    str(Path(asyncio.__file__).parent),
)
"""Where files stand that open blocks for others."""


def calling_place() -> str:
    """`file:line` of the nearest frame that isn't machinery: a service, an entrypoint, a script."""
    frame = sys._getframe(1)  # noqa: SLF001 - inspect.stack() reads source files, and takes 1000 times as long
    while frame.f_back is not None and frame.f_code.co_filename.startswith(MACHINERY):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"

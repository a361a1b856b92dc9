"""Interrupts: a SIGINT counts wherever it arrives."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any, Final

AGAIN: Final = 0.01
"""Seconds after which it is sent once more."""


@contextmanager
def interrupts_kept() -> Iterator[None]:
    """For the length of the block. A KeyboardInterrupt that meets a destructor, or a weak reference's callback, can't
    be raised there: Python prints its traceback and forgets it. Here it comes again in a moment.
    """
    before = sys.unraisablehook
    timers: list[Timer] = []

    def again(failure: Any) -> None:
        if failure.exc_type is not KeyboardInterrupt:
            before(failure)
            return
        timer = Timer(AGAIN, os.kill, (os.getpid(), signal.SIGINT))
        timer.daemon = True
        timers.append(timer)
        timer.start()

    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = before
        for timer in timers:
            timer.cancel()

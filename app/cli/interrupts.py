"""Interrupts: no SIGINT is lost, whatever code it interrupts."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any, Final

AGAIN: Final = 0.01
"""Seconds after which a lost SIGINT is sent again."""


@contextmanager
def interrupts_kept() -> Iterator[None]:
    """Resend lost interrupts for the length of the block. Python can't raise a KeyboardInterrupt out of a destructor or
    a weak reference's callback: it prints the traceback and drops it. Here the signal is then sent again.
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

"""LoopWatch: ends the process when its event loop hangs, or when a call outlives its hard limit.

A handler that blocks the loop, such as one that sleeps or computes without `await`, can't be cancelled: the soft time
limit cancels a coroutine, and that is done by the loop. Everything else of the process then waits, too, and its leases
end. Only its end helps: what it had begun is delivered again, to another process.
"""

import asyncio
import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import CoroutineType, FrameType
from typing import Any, Final

log = logging.getLogger("gatehouse.worker")

EXIT_CODE: Final = 70
"""Exit code of a process that ended itself: EX_SOFTWARE of sysexits.h."""
TICKS: Final = 10
"""Looks at the loop in the time that it may hang."""
UNSEEN: Final = 1.5
"""Ratio of the time after which the process is ended from C, without a line of its own, to the time that the loop may
hang: for code that holds the interpreter's lock, so that the watching thread can't run either.
"""


class LoopWatch:
    """Thread that looks whether the loop runs. `hangs_after` is in seconds of this process: while it is stopped, or its
    machine is suspended, no time passes.
    """

    def __init__(self, hangs_after: float) -> None:
        self._hangs_after = hangs_after
        self._tick = hangs_after / TICKS
        self._beats = 0
        self._loop_thread: int | None = None
        self._limits: dict[int, tuple[float, str, asyncio.Task[Any] | None]] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="gatehouse watch", daemon=True)

    def start(self) -> None:
        """Begin to watch. The loop must run `beat` from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching, and wait for the thread's end."""
        self._over.set()
        self._thread.join()
        faulthandler.cancel_dump_traceback_later()

    async def beat(self) -> None:
        """Show that the loop runs, until cancelled. Called in the loop."""
        self._loop_thread = threading.get_ident()
        try:
            while True:
                self._beats += 1
                _end_from_c(self._hangs_after * UNSEEN)
                await asyncio.sleep(self._tick)
        finally:
            faulthandler.cancel_dump_traceback_later()

    @contextmanager
    def limited(self, seconds: float | None, what: str, task: "asyncio.Task[Any] | None" = None) -> Iterator[None]:
        """End the process if the block takes longer; None for no limit. `what` and the task's line are logged then."""
        if seconds is None:
            yield
            return
        mark = (time.monotonic() + seconds, what, task)
        with self._lock:
            self._limits[id(mark)] = mark
        try:
            yield
        finally:
            with self._lock:
                del self._limits[id(mark)]

    def _watch(self) -> None:
        seen, silent = 0, 0
        while not self._over.wait(self._tick):
            if self._loop_thread is not None:
                silent = silent + 1 if self._beats == seen else 0
                seen = self._beats
            if silent >= TICKS:
                self._end(f"the event loop hangs for {self._hangs_after:g} s", _line(self._frame_of_loop()))
            now = time.monotonic()
            with self._lock:
                late = [(what, task) for ends, what, task in self._limits.values() if ends < now]
            if late:
                what, task = late[0]
                line = _line(self._frame_of_loop()) if task is None or silent > 1 else _line(_innermost(task))
                self._end(f"{what} is over its hard time limit, and doesn't end when it is cancelled", line)

    def _frame_of_loop(self) -> FrameType | None:
        return sys._current_frames().get(self._loop_thread or 0)  # noqa: SLF001 - the documented way to another thread's stack

    def _end(self, reason: str, line: str) -> None:
        with suppress(Exception):  # a broken stderr keeps no process
            log.critical("%s, at %s; the process ends itself, and what it had begun is delivered again", reason, line)
            faulthandler.dump_traceback(file=sys.__stderr__ or sys.stderr, all_threads=True)
        os._exit(EXIT_CODE)


def _end_from_c(seconds: float) -> None:
    with suppress(Exception):  # without a stderr there is nothing to dump to
        faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__ or sys.stderr)


def _innermost(task: "asyncio.Task[Any]") -> FrameType | None:
    """Return the frame in which a suspended task waits."""
    awaited: Any = task.get_coro()
    frame: FrameType | None = None
    while isinstance(awaited, CoroutineType):
        frame, awaited = awaited.cr_frame or frame, awaited.cr_await
    return frame


def _line(frame: FrameType | None) -> str:
    return (
        "an unknown line" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno} ({frame.f_code.co_name})"
    )

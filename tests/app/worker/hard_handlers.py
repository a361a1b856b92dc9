"""Handlers that are slow, fail, block their loop or kill their process, and a file of their runs."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from domain import OutboxMessage
from services.messaging.handlers import Handler, at_least_once

TRACE_FILE: Final = "GATEHOUSE_TESTS_TRACE_FILE"
SLOW, FAILING, BLOCKING, KILLING = "test.slow", "test.failing", "test.blocking", "test.killing"
SLOW_SECONDS: Final = 9.0
"""Longer than two leases of the test."""


class Run(NamedTuple):
    """A run of a handler. `ended` is when its process was last seen in it; None when it never came to its end."""

    message: str
    topic: str
    pid: int
    began: float
    ended: float | None


def hard_handlers(trace: str | None) -> dict[str, Handler]:
    """The handlers by topic; none without a file to trace them in."""
    if trace is None:
        return {}

    @at_least_once
    async def slow(message: OutboxMessage) -> None:
        with _traced(trace, message):
            await asyncio.sleep(SLOW_SECONDS)

    @at_least_once
    async def failing(message: OutboxMessage) -> None:
        with _traced(trace, message):
            raise LookupError

    @at_least_once
    async def blocking(message: OutboxMessage) -> None:
        with _traced(trace, message):
            time.sleep(60)  # noqa: ASYNC251 - what it is for

    @at_least_once
    async def killing(message: OutboxMessage) -> None:
        with _traced(trace, message):
            os.kill(os.getpid(), signal.SIGKILL)

    return {SLOW: slow, FAILING: failing, BLOCKING: blocking, KILLING: killing}


def runs(trace: Path) -> list[Run]:
    """The runs so far, in the order in which they began."""
    begun: dict[str, Run] = {}
    for line in trace.read_text(encoding="utf-8").splitlines():
        what, run, message, topic, pid, moment = line.split()
        if what == "began":
            begun[run] = Run(message, topic, int(pid), float(moment), None)
        else:
            begun[run] = begun[run]._replace(ended=float(moment))
    return sorted(begun.values(), key=lambda run: run.began)


@contextmanager
def _traced(trace: str, message: OutboxMessage) -> Iterator[None]:
    run = os.urandom(6).hex()
    _write(trace, f"began {run} {message.id} {message.topic} {os.getpid()} {time.time()}")
    try:
        yield
    finally:
        _write(trace, f"ended {run} {message.id} {message.topic} {os.getpid()} {time.time()}")


def _write(trace: str, line: str) -> None:
    descriptor = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)

"""Caller: the client that waits for the current work, in a context variable that the entrypoint binds."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

Gone = Callable[[], Coroutine[Any, Any, None]]
"""Function that returns once the caller has hung up."""


@dataclass
class _Caller:
    gone: Gone
    waits: bool = True


_caller: ContextVar[_Caller | None] = ContextVar("caller", default=None)


@contextmanager
def bound_caller(gone: Gone) -> Iterator[None]:
    """Bind the caller for the length of the block. Work that outlives the block in a copy of its context has none."""
    caller = _Caller(gone)
    token = _caller.set(caller)
    try:
        yield
    finally:
        caller.waits = False
        _caller.reset(token)


def caller_gone() -> Gone | None:
    """Return the function that waits until the caller has hung up; None where nobody waits, as in commands, workers and
    background tasks.
    """
    caller = _caller.get()
    return caller.gone if caller is not None and caller.waits else None

"""Retry: how often, and how long, a unit that was undone through no fault of its own is tried again."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import stamina

from unitwork.errors.undone import undone

T = TypeVar("T")
log = logging.getLogger("unitwork.database")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """After attempt n there is a pause of `wait_initial` * 2 ** (n - 1) seconds and a random part of `jitter`, but of
    `wait_max` at most. Raises ValueError for bounds that are none.
    """

    attempts: int = 3
    """In all, the first one counted."""
    wait_initial: float = 0.02
    wait_max: float = 1.0
    jitter: float = 0.1
    """Seconds; keeps those that collided from colliding again."""
    timeout: float | None = 30.0
    """Seconds over all attempts: one that fails later is the last. It cuts none off; a transaction's own `timeout`
    does, each attempt by itself.
    """

    def __post_init__(self) -> None:
        if self.attempts < 1:
            msg = f"attempts counts all of them, so it is 1 at least: {self.attempts}"
            raise ValueError(msg)
        if min(self.wait_initial, self.jitter) < 0 or self.wait_max < self.wait_initial:
            msg = "pauses are 0 s at least, and wait_max is no shorter than wait_initial"
            raise ValueError(msg)
        if self.timeout is not None and self.timeout <= 0:
            msg = f"timeout is more than 0 s, or None: {self.timeout:g}"
            raise ValueError(msg)


async def repeat(
    run: Callable[[], Awaitable[T]], retry: Retry, *, worth: Callable[[BaseException], bool], name: str
) -> T:
    """What `run` returns, called again after an error that is `worth` it. Any other error, and the last one, leaves
    unchanged; a cancellation ends the pauses too.
    """
    attempts = aiter(
        stamina.retry_context(
            on=Exception,  # what isn't worth it never gets there
            attempts=retry.attempts,
            timeout=retry.timeout,
            wait_initial=retry.wait_initial,
            wait_max=retry.wait_max,
            wait_jitter=retry.jitter,
        )
    )
    # stamina's hooks are the whole process's, and by default log the error's text: this run has one of its own instead.
    retrying: Any = attempts._t_a_retrying  # type: ignore[attr-defined]  # noqa: SLF001 - it has no public name
    retrying.before_sleep = partial(_tell, retry=retry, name=name)
    while True:
        attempt = await anext(attempts)
        final: BaseException | None = None
        with attempt:
            try:
                return await run()
            except BaseException as error:
                if worth(error):
                    raise
                # Not through stamina: a StopAsyncIteration would look like the end of the attempts.
                final = error
        if final is not None:
            try:
                raise final
            finally:
                final = None  # it refers to this frame


def _tell(state: Any, *, retry: Retry, name: str) -> None:
    """Types alone: a text may quote what the caller has put into it."""
    reason = undone(state.outcome.exception())
    log.info(
        "%s failed with %s in attempt %d of %d, trying again in %.3f s",
        name,
        type(reason).__name__,
        state.attempt_number,
        retry.attempts,
        state.upcoming_sleep,
    )

"""Retry: try a unit again that was undone through no fault of its own, a limited number of times."""

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
    """Limits of the attempts. After attempt n there is a pause of `wait_initial` * 2 ** (n - 1) seconds plus a random
    part of `jitter`, at most `wait_max` in all. Raises ValueError for values out of range.
    """

    attempts: int = 3
    """Total number of attempts, the first one included."""
    wait_initial: float = 0.02
    wait_max: float = 1.0
    jitter: float = 0.1
    """Maximum random seconds, which keep units that collided from colliding again."""
    timeout: float | None = 30.0
    """Seconds for all attempts: one that fails later is the last. A running attempt isn't cut off; a transaction's own
    `timeout` limits each attempt.
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
    """Return what `run` returns, called again after an error that is `worth` it. Any other error, and the last one, is
    raised unchanged; a cancellation also ends the pauses.
    """
    attempts = aiter(
        stamina.retry_context(
            on=Exception,  # errors that aren't worth a retry never reach stamina
            attempts=retry.attempts,
            timeout=retry.timeout,
            wait_initial=retry.wait_initial,
            wait_max=retry.wait_max,
            wait_jitter=retry.jitter,
        )
    )
    # stamina's hooks are global to the process, and by default log the error's text: replace them for this run.
    retrying: Any = attempts._t_a_retrying  # type: ignore[attr-defined]  # noqa: SLF001 - it has no public name
    retrying.before_sleep = partial(_log_retry, retry=retry, name=name)
    while True:
        attempt = await anext(attempts)
        final: BaseException | None = None
        with attempt:
            try:
                return await run()
            except BaseException as error:
                if worth(error):
                    raise
                # Bypass stamina: it would take a StopAsyncIteration for the end of the attempts.
                final = error
        if final is not None:
            try:
                raise final
            finally:
                final = None  # breaks the reference cycle with this frame


def _log_retry(state: Any, *, retry: Retry, name: str) -> None:
    """Log the retry with the error's type only: its text may quote the caller's values."""
    reason = undone(state.outcome.exception())
    log.info(
        "%s failed with %s in attempt %d of %d, trying again in %.3f s",
        name,
        type(reason).__name__,
        state.attempt_number,
        retry.attempts,
        state.upcoming_sleep,
    )

"""A signal ends a command's work as it should, from the first moment on."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any

import pytest

from app.cli.errors import Terminated
from app.cli.signals import run_to_its_end

ENDS = pytest.mark.parametrize(("number", "end"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])


async def work(seen: list[str]) -> None:
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError:
        seen.append("cancelled")
        raise


@ENDS
def test_one_that_comes_before_there_is_a_loop_cancels_the_work(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals, end: type[BaseException]
) -> None:
    seen: list[str] = []
    run = asyncio.run

    def early(main: Coroutine[Any, Any, object]) -> object:
        os.kill(os.getpid(), number)
        return run(main)

    monkeypatch.setattr(asyncio, "run", early)
    before = signal.getsignal(number)
    with pytest.raises(end):
        run_to_its_end(work(seen))
    assert seen == ["cancelled"]
    assert signal.getsignal(number) is before


@ENDS
def test_one_that_comes_while_it_waits_cancels_it(number: signal.Signals, end: type[BaseException]) -> None:
    seen: list[str] = []

    async def told() -> None:
        asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), number)
        await work(seen)

    with pytest.raises(end):
        run_to_its_end(told())
    assert seen == ["cancelled"]


def test_a_second_one_by_hand_waits_no_longer() -> None:
    async def deaf() -> None:
        asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGINT)
        asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGINT)
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(10)

    with pytest.raises(KeyboardInterrupt):
        run_to_its_end(deaf())


def test_a_cancellation_of_its_own_is_none() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run_to_its_end(cancelled())
    assert run_to_its_end(asyncio.sleep(0, "done")) == "done"

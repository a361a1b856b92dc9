"""The stepper itself: what it counts, and that each style does what it says."""

import asyncio

import anyio
import pytest
import uvloop

from tests.faults.stepper import Ended, Style, step


async def three_turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_it_counts_the_moments_at_which_control_is_given_back() -> None:
    steps = await step(three_turns)
    assert (steps.suspensions, steps.ended, steps.delivered) == (3, Ended.RESULT, False)


async def test_moments_of_started_tasks_count_too() -> None:
    async def starts() -> None:
        await asyncio.create_task(three_turns())

    assert (await step(starts)).suspensions == 4


@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize("at", [1, 2, 3])
async def test_it_cancels_at_the_named_moment(style: Style, at: int) -> None:
    reached = []

    async def turns() -> None:
        for turn in (1, 2, 3):
            reached.append(turn)
            await asyncio.sleep(0.001)

    steps = await step(turns, at=at, style=style)
    assert reached == list(range(1, at + 1))
    assert steps.delivered
    assert steps.honest
    assert steps.ended is (Ended.TIMEOUT if style is Style.TIMEOUT else Ended.CANCELLED)


@pytest.mark.parametrize(("style", "cancellations"), [(Style.ONCE, 1), (Style.TWICE, 2), (Style.LEVEL, 5)])
async def test_further_cancellations_come_at_the_next_suspensions(style: Style, cancellations: int) -> None:
    seen = 0

    async def stubborn() -> None:
        nonlocal seen
        for _ in range(5):
            try:
                await asyncio.sleep(0.001)
            except asyncio.CancelledError:
                seen += 1
        raise asyncio.CancelledError

    steps = await step(stubborn, at=1, style=style)
    assert seen == cancellations
    assert steps.honest


@pytest.mark.parametrize("style", Style)
async def test_a_swallowed_cancellation_is_not_honest(style: Style) -> None:
    async def swallows() -> None:
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()

    steps = await step(swallows, at=1, style=style)
    assert steps.delivered
    # A timeout whose cancellation was swallowed raises nothing; a scope has nothing more to catch.
    assert not steps.honest


async def test_a_task_that_never_ends_is_reported_as_hung() -> None:
    finish = asyncio.Event()

    async def waits() -> None:
        with anyio.CancelScope(shield=True):
            await finish.wait()

    steps = await step(waits, at=1, style=Style.ANYIO, patience=0.2)
    assert steps.ended is Ended.HUNG
    assert not steps.honest
    finish.set()
    await asyncio.sleep(0.01)


def test_it_works_on_uvloop() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(step(three_turns)).suspensions == 3
        assert runner.run(step(three_turns, at=2)).ended is Ended.CANCELLED

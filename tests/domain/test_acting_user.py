"""The acting user: one for each block, each task its own."""

import asyncio
import contextvars
import threading

import pytest

from unitwork.errors import NoActingUser
from unitwork.models import SYSTEM, acting_as, acting_user_id, bound_request_id, current_request_id


def test_without_an_acting_user_the_error_tells_the_fix() -> None:
    with pytest.raises(NoActingUser, match=r"acting_as\(user_id\).*acting_as\(SYSTEM\)"):
        acting_user_id()


def test_user_id_zero_is_an_acting_user() -> None:
    assert SYSTEM == 0
    with acting_as(SYSTEM):
        assert acting_user_id() == 0


def test_blocks_nest_and_restore_even_after_an_error() -> None:
    with acting_as(1):
        with acting_as(2), acting_as(SYSTEM):
            assert acting_user_id() == SYSTEM
        assert acting_user_id() == 1
        with pytest.raises(ZeroDivisionError), acting_as(3):
            _ = 1 / 0
        assert acting_user_id() == 1
    with pytest.raises(NoActingUser):
        acting_user_id()


async def test_a_child_task_inherits_and_changes_nothing_outside() -> None:
    entered, leave = asyncio.Event(), asyncio.Event()
    seen: list[int] = []

    async def child() -> None:
        seen.append(acting_user_id())
        with acting_as(2):
            entered.set()
            await leave.wait()
            seen.append(acting_user_id())
        seen.append(acting_user_id())

    with acting_as(1):
        task = asyncio.create_task(child())
        await entered.wait()
        assert acting_user_id() == 1
        with acting_as(7):
            leave.set()
            await task
    assert seen == [1, 2, 1]


async def test_tasks_side_by_side_never_see_each_other() -> None:
    async def act(user_id: int) -> bool:
        with acting_as(user_id):
            for _ in range(5):
                await asyncio.sleep(0)
                if acting_user_id() != user_id:
                    return False
        return True

    assert all(await asyncio.gather(*(act(user_id) for user_id in range(20))))


async def test_a_thread_of_asyncio_inherits_and_a_bare_thread_does_not() -> None:
    with acting_as(5):
        assert await asyncio.to_thread(acting_user_id) == 5
        outcome: list[object] = []

        def bare() -> None:
            try:
                outcome.append(acting_user_id())
            except NoActingUser:
                outcome.append(None)

        # An empty context, as a thread of somebody else's pool has.
        thread = threading.Thread(target=contextvars.Context().run, args=(bare,))
        thread.start()
        thread.join()
    assert outcome == [None]


def test_a_request_id_is_bound_for_the_block() -> None:
    assert current_request_id() is None
    with bound_request_id("outer"):
        with bound_request_id("inner"):
            assert current_request_id() == "inner"
        assert current_request_id() == "outer"
    assert current_request_id() is None

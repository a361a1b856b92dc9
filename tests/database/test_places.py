"""Places: which unit gets the next connection of a busy pool, by lane."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from contextvars import Context

import pytest
from sqlalchemy import text

from containers import Container, running
from settings import Settings
from tests.patience import until
from unitwork import Lane, Propagation, Rank, admitted, in_lane
from unitwork.connections.places import LAST_WAIT_SHARE, LONG_LIVED_WAITS, Claim, Places
from unitwork.errors import Overloaded, PoolTimeout

SLOW, QUICK = Lane("slow"), Lane("quick")
LOGIN, PROBE = Lane("login", Rank.ENTRANCE), Lane("probe", Rank.PROBE, 1.0)


@asynccontextmanager
async def pool_of(database_url: str, size: int, **options: object) -> AsyncIterator[Container]:
    database = {"url": database_url, "pool_size": size, "max_overflow": 0, "pool_timeout": 1.0, **options}
    async with running(Container(settings=Settings(database=database))) as container:
        yield container


@asynccontextmanager
async def holding(container: Container, lane: Lane | None, count: int = 1) -> AsyncIterator[int]:
    """Try to hold `count` connections, each by a task of its own that knows nothing of the others; yield how many were
    given.
    """
    given, end, answered = 0, asyncio.Event(), asyncio.Semaphore(0)

    async def hold() -> None:
        nonlocal given
        try:
            with nullcontext() if lane is None else in_lane(lane, wait=0.2):
                async with container.session_provider()(read_only=True) as session:
                    await session.execute(text("SELECT 1"))
                    given += 1
                    answered.release()
                    await end.wait()
        except Overloaded:
            answered.release()

    tasks = [asyncio.create_task(hold(), context=Context()) for _ in range(count)]
    for _ in range(count):
        await answered.acquire()
    try:
        yield given
    finally:
        end.set()
        await asyncio.gather(*tasks)


async def read_one(container: Container) -> object:
    return await container.user_dao().query().eq("id", 1).one_or_none()


async def test_a_lane_leaves_connections_to_the_others_and_to_better_ranks(database_url: str) -> None:
    async with pool_of(database_url, 15) as container:
        async with AsyncExitStack() as stack:
            assert await stack.enter_async_context(holding(container, SLOW, 30)) == 9
            assert await stack.enter_async_context(holding(container, QUICK, 30)) == 3, (
                "two lanes leave a sixth, and one"
            )
            assert await stack.enter_async_context(holding(container, LOGIN, 30)) == 2
            assert await stack.enter_async_context(holding(container, PROBE, 30)) == 1
            state = container.sql_monitor().pools.state()
            assert (state.in_use, state.refused, state.timeouts) == (15, 120 - 15, 0)
            with pytest.raises(PoolTimeout):
                await read_one(container)
        assert container.sql_monitor().pools.state().in_use == 0


@pytest.mark.parametrize("size", [1, 2, 3])
async def test_a_small_pool_is_for_every_lane_whole(database_url: str, size: int) -> None:
    async with pool_of(database_url, size) as container, holding(container, SLOW, size + 1) as given:
        assert given == size


async def test_a_refusal_says_which_lane_and_when_to_come_back(database_url: str) -> None:
    async with pool_of(database_url, 1) as container, holding(container, SLOW):
        begun = time.monotonic()
        with (
            pytest.raises(Overloaded, match=r"'quick' within 0\.\d+ s.*pool_size") as refused,
            in_lane(QUICK, wait=0.2),
        ):
            await read_one(container)
        assert 0.1 < time.monotonic() - begun < 3
        assert (refused.value.lane, refused.value.retry_after) == ("quick", 1.0)
        state = container.sql_monitor().pools.state()
        assert (state.refused, state.timeouts, state.waiting) == (1, 0, 0)


async def test_work_that_holds_a_connection_takes_a_second_one_whatever_its_lane_holds(database_url: str) -> None:
    only = Lane("only", share=0.1)  # one connection of five
    async with pool_of(database_url, 5) as container, holding(container, QUICK, 3) as given:
        assert given == 3
        with in_lane(only, wait=0.1):
            async with container.transaction()(read_only=True) as outer:
                await outer.session.execute(text("SELECT 1"))
                async with container.transaction()(Propagation.REQUIRES_NEW, read_only=True) as inner:
                    await inner.session.execute(text("SELECT 1"))
        with in_lane(only, wait=0.1):
            await read_one(container)


async def test_the_short_ways_are_admitted_too(database_url: str) -> None:
    async with pool_of(database_url, 1) as container:
        with in_lane(QUICK, wait=0.1):
            for _ in range(3):  # through SQLAlchemy, then directly by the driver
                await read_one(container)
            async with holding(container, SLOW):
                with pytest.raises(Overloaded):
                    await read_one(container)
            await read_one(container)


async def test_work_may_ask_for_admission_before_it_begins(database_url: str) -> None:
    async with pool_of(database_url, 1) as container:
        engine = container.engine()
        await admitted(engine)  # outside every lane
        async with holding(container, SLOW):
            with in_lane(QUICK, wait=0.1), pytest.raises(Overloaded):
                await admitted(engine)
            with in_lane(QUICK, wait=5.0):
                waiting = asyncio.create_task(_admitted_first(container))
                await until(lambda: container.sql_monitor().pools.state().waiting == 1)
        assert await asyncio.wait_for(waiting, 5) is None
        with in_lane(QUICK, wait=0.1):
            assert await read_one(container) is None


async def _admitted_first(container: Container) -> object:
    await admitted(container.engine())
    await asyncio.sleep(0.05)
    assert container.engine().pool.checkedout() == 0  # type: ignore[attr-defined]
    with in_lane(SLOW, wait=0.01), pytest.raises(Overloaded):
        await asyncio.create_task(read_one(container))  # the place is kept for this task's own unit
    return await read_one(container)


async def test_an_admission_that_is_not_used_is_given_back_at_the_lanes_end(database_url: str) -> None:
    async with pool_of(database_url, 1) as container:
        async with holding(container, SLOW):
            waiting = asyncio.create_task(_admitted_only(container))
            await until(lambda: container.sql_monitor().pools.state().waiting == 1)
        await waiting
        with in_lane(SLOW, wait=0.01):
            assert await read_one(container) is None


async def _admitted_only(container: Container) -> None:
    with in_lane(QUICK, wait=5.0):
        await admitted(container.engine())


async def test_what_waits_is_served_when_others_outside_every_lane_return_theirs(database_url: str) -> None:
    async with pool_of(database_url, 1) as container:
        async with holding(container, None):
            with in_lane(QUICK, wait=5.0):
                waiting = asyncio.create_task(read_one(container))
                await until(lambda: container.sql_monitor().pools.state().waiting == 1)
        assert await asyncio.wait_for(waiting, 5) is None


async def test_cancelled_and_refused_waits_leave_nothing(database_url: str) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    async with pool_of(database_url, 4) as container:
        users, outcomes = container.user_dao(), Counter[str]()

        async def work(number: int) -> None:
            lane = (SLOW, QUICK, LOGIN, PROBE)[number % 4]
            try:
                with in_lane(lane, wait=chance.uniform(0.001, 0.05)):
                    if chance.random() < 0.5:
                        await admitted(container.engine())
                    async with container.transaction()(read_only=True) as tx:
                        await tx.session.execute(text("SELECT 1"))
                        await asyncio.sleep(chance.uniform(0, 0.01))
                    await users.query().eq("id", 1).one_or_none()
                outcomes["done"] += 1
            except Overloaded:
                outcomes["refused"] += 1

        tasks = [asyncio.create_task(work(number)) for number in range(400)]
        while not all(task.done() for task in tasks):
            chance.choice(tasks).cancel()
            await asyncio.sleep(0.001)
        assert {type(task.exception()) for task in tasks if not task.cancelled()} <= {type(None)}
        assert outcomes["done"]
        places: Places = container.engine().pool.places  # type: ignore[attr-defined]
        assert (places._coming, dict(places._held), places._waiting) == (0, {}, {})
        assert container.engine().pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_new_work_of_an_overloaded_lane_is_refused_sooner_and_the_newest_is_first() -> None:
    places = Places(lambda: 1, lambda: 0)
    first = places.take(_claim(SLOW, 0.2))
    assert first is not None
    order: list[int] = []

    async def wait(number: int, seconds: float = 0.2) -> None:
        try:
            place = await places.wait(_claim(SLOW, seconds))
        except Overloaded:
            order.append(-number)
            return
        order.append(number)
        place.give_back()

    patient = asyncio.create_task(wait(1, 5.0))
    await asyncio.sleep(0.25)
    begun = time.monotonic()
    await wait(2)
    assert order == [-2]
    assert time.monotonic() - begun < 0.15, "a quarter of its wait"
    others = [asyncio.create_task(wait(number, 6.0)) for number in (3, 4)]
    await asyncio.sleep(0)
    first.give_back()
    await asyncio.gather(patient, *others)
    assert order == [-2, 1, 3, 4]  # its first waiter is patient, and isn't late yet


async def test_the_waits_of_one_request_are_bounded_together_and_those_of_a_stream_apart() -> None:
    claim = _claim(SLOW, 1.0)
    claim.waited = 0.75
    assert claim.time_to_wait() == 0.25
    claim.waited = 2.0
    assert claim.time_to_wait() == LAST_WAIT_SHARE
    claim.created -= LONG_LIVED_WAITS * 1.0
    assert claim.time_to_wait() == 1.0


async def test_a_wait_ends_when_nobody_wants_the_result() -> None:
    class Gone(Exception):
        pass

    async def gone() -> None:
        await asyncio.sleep(0.01)
        raise Gone

    places = Places(lambda: 1, lambda: 0)
    place = places.take(_claim(SLOW, 1.0))
    assert place is not None
    with pytest.raises(Gone):
        await places.wait(Claim(SLOW, 5.0, gone))
    assert not places.waiting


def _claim(lane: Lane, wait: float) -> Claim:
    return Claim(lane, wait, None)

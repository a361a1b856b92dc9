"""Advisory locks: one holder of a name at a time, until its transaction ends."""

import asyncio

import pytest

from containers import Container
from unitwork.errors import LockNotAvailable, NoActiveTransaction, NotSupported

pytestmark = pytest.mark.database("own")
on_postgresql = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_another_database_says_what_to_do_instead(container: Container) -> None:
    async with container.transaction()():
        for ask in (container.advisory_locks().acquire, container.advisory_locks().try_acquire):
            with pytest.raises(NotSupported, match=r"sqlite has no advisory locks\. Lock a row instead"):
                await ask("import")


@on_postgresql
async def test_without_a_transaction_there_is_nothing_to_release_it(container: Container) -> None:
    for ask in (container.advisory_locks().acquire, container.advisory_locks().try_acquire):
        with pytest.raises(NoActiveTransaction):
            await ask("import")


@on_postgresql
async def test_a_name_has_one_holder_until_its_transaction_ends(container: Container) -> None:
    locks, transaction = container.advisory_locks(), container.transaction()
    held, done = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with transaction():
            await locks.acquire("import")
            await locks.acquire("import")
            held.set()
            await done.wait()

    holder = asyncio.create_task(hold())
    await held.wait()
    async with transaction():
        assert not await locks.try_acquire("import")
        assert not await locks.try_acquire("import", shared=True)
        assert await locks.try_acquire("export")
    with pytest.raises(LockNotAvailable):
        async with transaction():
            await locks.acquire("import", timeout=0.05)
    done.set()
    await holder
    async with transaction():
        await locks.acquire("import", timeout=5)
        assert await locks.try_acquire("import")


@on_postgresql
async def test_those_who_share_a_name_exclude_only_the_others(container: Container) -> None:
    locks, transaction = container.advisory_locks(), container.transaction()
    both = asyncio.Barrier(2)

    async def share() -> bool:
        async with transaction():
            await locks.acquire("report", shared=True)
            async with asyncio.timeout(10):
                await both.wait()
                alone = await locks.try_acquire("report")
                await both.wait()
            return alone

    assert await asyncio.gather(*(share() for _ in range(2))) == [False, False]


@on_postgresql
async def test_nobody_works_beside_the_holder(container: Container) -> None:
    inside: list[int] = []

    async def work(number: int) -> None:
        async with container.transaction()():
            await container.advisory_locks().acquire("work")
            inside.append(number)
            await asyncio.sleep(0.005)
            assert inside[-1] == number
            inside.append(number)

    await asyncio.gather(*(work(number) for number in range(4)))
    assert [inside[place] for place in (0, 2, 4, 6)] == [inside[place] for place in (1, 3, 5, 7)]

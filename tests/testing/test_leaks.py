"""no_leaks tells what was left behind, and which line did it."""

import asyncio
from typing import Any

import pytest

from containers import Container
from tests.testing.tables import create_tables, write
from unitwork.testing import no_leaks as looking


@pytest.fixture(params=["isolated", "own"])
def database_mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_what_is_given_back_is_no_leak(container: Container, no_leaks: None) -> None:
    await create_tables(container)

    async def work(number: int) -> None:
        async with container.transaction()() as tx:
            await write(tx.session, str(number))

    await asyncio.gather(*(work(number) for number in range(3)))
    about_to_finish = asyncio.create_task(asyncio.sleep(0.1))
    await asyncio.sleep(0)
    assert not about_to_finish.done()


async def test_a_connection_that_is_kept_is_a_leak(container: Container) -> None:
    with pytest.raises(AssertionError) as raised:
        async with looking(container):
            connection = await container.engine().connect()
    await connection.close()
    line = test_a_connection_that_is_kept_is_a_leak.__code__.co_firstlineno + 3
    assert str(raised.value) == f"left behind:\n  a connection, taken at {__file__}:{line}"


async def test_a_unit_that_is_open_is_a_leak_and_so_is_its_connection(container: Container) -> None:
    await create_tables(container)
    block = container.transaction()(name="the import")
    with pytest.raises(AssertionError) as raised:
        async with looking(container):
            tx = await block.__aenter__()
            await write(tx.session, "a")
    await block.__aexit__(None, None, None)
    line = test_a_unit_that_is_open_is_a_leak_and_so_is_its_connection.__code__.co_firstlineno + 5
    assert f"\n  the import, opened at {__file__}:{line}" in str(raised.value)
    assert "\n  a connection, taken at " in str(raised.value)


async def test_a_task_that_runs_on_is_a_leak(container: Container) -> None:
    before = asyncio.get_running_loop().get_task_factory()
    with pytest.raises(AssertionError) as raised:
        async with looking(container):
            task = asyncio.create_task(asyncio.sleep(60), name="the poller")
    task.cancel()
    line = test_a_task_that_runs_on_is_a_leak.__code__.co_firstlineno + 4
    assert str(raised.value) == f"left behind:\n  the poller, started at {__file__}:{line}"
    assert asyncio.get_running_loop().get_task_factory() is before


async def test_what_the_block_raises_is_not_hidden(container: Container) -> None:
    with pytest.raises(KeyError):
        async with looking(container):
            task = asyncio.create_task(asyncio.sleep(60))
            raise KeyError
    task.cancel()


async def test_another_task_factory_is_asked_and_put_back(container: Container) -> None:
    made: list[Any] = []

    def factory(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> Any:
        made.append(work)
        return asyncio.Task(work, loop=loop, **options)

    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    async with looking(container):
        await asyncio.create_task(asyncio.sleep(0))
    assert len(made) == 1
    assert loop.get_task_factory() is factory
    loop.set_task_factory(None)

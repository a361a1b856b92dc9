"""Deadlines: units end with the work they belong to."""

import asyncio
import time
from contextvars import Context

import pytest
from sqlalchemy import text

from containers import Container
from domain import User
from unitwork import lift_deadline, remaining, within
from unitwork.errors import TransactionTimeout
from unitwork.models import SYSTEM, acting_as


def account(number: int) -> User:
    return User(email=f"a{number}@example.com", email_key=f"a{number}@example.com")


async def test_a_block_is_bounded_by_the_deadline_and_rolled_back(container: Container) -> None:
    with acting_as(SYSTEM):
        begun = time.monotonic()
        with within(0.2), pytest.raises(TransactionTimeout, match=r"test_deadline\.py.*took longer than"):
            async with container.transaction()():
                await container.user_dao().add(account(1))
                await asyncio.sleep(30)
        assert time.monotonic() - begun < 5
    assert await container.user_dao().count().rows() == 0


async def test_the_earlier_of_timeout_and_deadline_counts(container: Container) -> None:
    for limit, timeout in ((0.1, 30.0), (30.0, 0.1)):
        begun = time.monotonic()
        with within(limit), pytest.raises(TransactionTimeout):
            async with container.transaction()(timeout=timeout):
                await asyncio.sleep(30)
        assert time.monotonic() - begun < 5


async def test_nothing_begins_after_the_deadline(container: Container) -> None:
    users = container.user_dao()
    with acting_as(SYSTEM), within(0.0):
        for attempt in (
            users.count().rows,
            lambda: users.add(account(1)),
            lambda: users.update().eq("id", 1).set(display_name="x").execute(),
        ):
            with pytest.raises(TransactionTimeout, match="was begun after the deadline of its work; nothing was sent"):
                await attempt()
        with pytest.raises(TransactionTimeout):
            async with container.session_provider()() as session:
                await session.execute(text("SELECT 1"))
    assert container.sql_monitor().pools.state().in_use == 0
    assert await users.count().rows() == 0


async def test_a_lone_read_is_bounded(container: Container) -> None:
    if container.engine().dialect.name != "postgresql":
        pytest.skip("no function that sleeps")
    users = container.user_dao()
    await users.query().eq("id", 1).one_or_none()
    async with container.transaction()() as holder:
        await holder.session.execute(text("LOCK TABLE users IN ACCESS EXCLUSIVE MODE"))

        async def read() -> None:
            with within(0.2), pytest.raises(TransactionTimeout):
                await users.query().eq("id", 1).one_or_none()

        begun = time.monotonic()
        await asyncio.create_task(read(), context=Context())
        assert time.monotonic() - begun < 5


async def test_an_inner_deadline_never_lengthens_and_tasks_inherit_it(container: Container) -> None:
    assert remaining() is None
    with within(5.0):
        with within(60.0):
            left = remaining()
            assert left is not None
            assert left <= 5.0
        assert await asyncio.create_task(_remaining()) is not None
        await asyncio.create_task(_lifted(container))
        assert remaining() is not None
    assert remaining() is None


async def test_hooks_after_the_commit_have_the_time_they_need(container: Container) -> None:
    counted: list[int] = []

    async def count() -> None:
        await asyncio.sleep(0.4)
        counted.append(await container.user_dao().count().rows())

    with acting_as(SYSTEM), within(0.3):
        async with container.transaction()() as tx:
            await container.user_dao().add(account(1))
            tx.after_commit(count)
    assert counted == [1]


async def _remaining() -> float | None:
    return remaining()


async def _lifted(container: Container) -> None:
    lift_deadline()
    assert remaining() is None
    assert await container.user_dao().count().rows() == 0

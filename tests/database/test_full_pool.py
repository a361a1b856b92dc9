"""A full pool: one connection for one transaction, deadlocks told at once, and who holds what."""

import asyncio
import time

import pytest
from sqlalchemy import text

from containers import Container, running
from domain import Token, User
from settings import Settings
from tests.database.tables import create_tables, stored, write
from unitwork import Propagation
from unitwork.errors import PoolDeadlock, PoolTimeout
from unitwork.models import SYSTEM, acting_as
from unitwork.models.utc_datetime import utc_now


def of_one(settings: Settings, *, pool_timeout: float) -> Settings:
    pool = {"pool_size": 1, "max_overflow": 0, "pool_timeout": pool_timeout}
    return settings.model_copy(update={"database": settings.database.model_copy(update=pool)})


@pytest.fixture
def pool_of_one(settings: Settings) -> Settings:
    return of_one(settings, pool_timeout=0.3)


async def test_a_service_method_over_three_daos_that_fails_in_the_third_stores_nothing(pool_of_one: Settings) -> None:
    async with running(Container(settings=pool_of_one)) as container:
        users, tokens = container.user_dao(), container.token_dao()
        transaction = container.transaction()
        with acting_as(SYSTEM), pytest.raises(RuntimeError):
            async with transaction():
                user = await users.add(User.create({"email": "one@example.com"}))
                await tokens.add(Token(user_id=user.id, digest="d" * 64, expires_at=utc_now()))
                assert await users.count().rows() == 1
                raise RuntimeError
        assert await users.count().rows() == 0
        assert await tokens.count().rows() == 0


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_requires_new_with_a_pool_of_one_is_a_deadlock_told_at_once_with_both_places(
    settings: Settings,
) -> None:
    async with running(Container(settings=of_one(settings, pool_timeout=5))) as container:
        await create_tables(container)
        transaction = container.transaction()
        async with transaction() as outer:
            await write(outer.session, "outer")
            begun = time.perf_counter()
            with pytest.raises(PoolDeadlock) as caught:
                async with transaction(Propagation.REQUIRES_NEW) as inner:
                    await write(inner.session, "inner")
            took = time.perf_counter() - begun
        assert took < 1, "nothing waits for the pool's timeout"
        assert caught.value.outer != caught.value.inner
        assert __file__ in caught.value.outer
        assert __file__ in caught.value.inner
        assert await stored(container) == {"outer"}


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_units_that_all_wait_for_a_second_connection_are_a_deadlock(settings: Settings) -> None:
    small = settings.database.model_copy(update={"pool_size": 2, "max_overflow": 0, "pool_timeout": 2.0})
    async with running(Container(settings=settings.model_copy(update={"database": small}))) as container:
        await create_tables(container)
        transaction = container.transaction()
        both = asyncio.Barrier(2)

        async def unit(name: str) -> None:
            async with transaction() as outer:
                await write(outer.session, name)
                await both.wait()
                async with transaction(Propagation.REQUIRES_NEW) as inner:
                    await write(inner.session, f"{name} inner")

        begun = time.perf_counter()
        answers = await asyncio.gather(unit("a"), unit("b"), return_exceptions=True)
        assert time.perf_counter() - begun < 1
        assert sum(isinstance(answer, PoolDeadlock) for answer in answers) == 1
        assert sum(answer is None for answer in answers) == 1


async def test_a_full_pool_says_who_holds_it(pool_of_one: Settings) -> None:
    async with running(Container(settings=pool_of_one)) as container:
        transaction = container.transaction()
        entered, leave = asyncio.Event(), asyncio.Event()

        async def holder() -> None:
            async with transaction(name="slow report") as tx:
                await tx.session.execute(text("SELECT 1"))
                entered.set()
                await leave.wait()

        task = asyncio.create_task(holder())
        await entered.wait()
        with pytest.raises(PoolTimeout) as caught:
            await container.user_dao().count().rows()
        leave.set()
        await task
        assert len(caught.value.holders) == 1
        assert "slow report" in str(caught.value)
        assert __file__ in str(caught.value)

"""Many units at the same rows, and backends that are killed under them: with `retry` every one of them ends well."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Update, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container
from settings import Settings
from tests.database.tables import stored, write
from unitwork import Outcome, Retry, execute_transaction

TASKS = 32
INCREMENTS = 1_000
PATIENT = Retry(attempts=100, wait_initial=0.01, wait_max=0.5, jitter=0.2, timeout=None)
counters = Table("counters", MetaData(), Column("id", Integer, primary_key=True), Column("value", Integer))


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """More tasks than connections, on a machine that may be busy: waiting for one is no failure here."""
    return Settings(database={"url": database_url, "pool_timeout": 60}, var_dir=tmp_path)


@pytest.fixture
async def with_counters(with_tables: Container) -> Container:
    async with with_tables.engine().begin() as connection:
        await connection.run_sync(counters.create)
        await connection.execute(counters.insert(), [{"id": number, "value": 0} for number in range(8)])
    return with_tables


async def value(session: AsyncSession, number: int) -> int:
    return int(await session.scalar(select(counters.c.value).where(counters.c.id == number)) or 0)


def one_more(number: int) -> Update:
    return update(counters).where(counters.c.id == number).values(value=counters.c.value + 1)


async def store(session: AsyncSession, number: int, new: int) -> None:
    await session.execute(update(counters).where(counters.c.id == number).values(value=new))


async def test_contended_serialisable_increments_lose_nothing(with_counters: Container) -> None:
    """Each reads the counter and stores one more, so that a lost update would be seen."""
    attempts: Counter[int] = Counter()
    hooks = 0

    async def task(first: int) -> None:
        for number in range(first, INCREMENTS, TASKS):
            tried = 0

            async def increment(session: AsyncSession) -> None:
                nonlocal tried, hooks
                tried += 1

                def committed() -> None:
                    nonlocal hooks
                    hooks += 1

                session.info["transaction"].after_commit(committed)
                await store(session, 0, await value(session, 0) + 1)

            await execute_transaction(
                with_counters.transaction(), increment, isolation="SERIALIZABLE", retry=PATIENT, name=f"unit {number}"
            )
            attempts[tried] += 1

    await asyncio.gather(*(task(first) for first in range(TASKS)))
    async with with_counters.session_provider()(read_only=True) as session:
        assert await value(session, 0) == INCREMENTS
    assert hooks == INCREMENTS
    tries = sum(tried * units for tried, units in attempts.items())
    print(f"{INCREMENTS} increments, {tries} attempts, at most {max(attempts)} for one")


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_units_that_lock_two_rows_crosswise_all_succeed(with_counters: Container) -> None:
    attempts = 0

    async def cross(first: int, second: int, meet: asyncio.Barrier) -> None:
        met = False

        async def unit(session: AsyncSession) -> None:
            nonlocal attempts, met
            attempts += 1
            await session.execute(text("SET LOCAL deadlock_timeout = '20ms'"))
            await session.execute(one_more(first))
            if not met:
                met = True
                await meet.wait()
            await session.execute(one_more(second))

        await execute_transaction(with_counters.transaction(), unit, retry=5)

    rounds = 10
    for _ in range(rounds):
        meet = asyncio.Barrier(2)
        await asyncio.gather(cross(0, 1, meet), cross(1, 0, meet))
    async with with_counters.session_provider()(read_only=True) as session:
        assert [await value(session, number) for number in (0, 1)] == [2 * rounds, 2 * rounds]
    print(f"{rounds} deadlocks, {attempts} attempts for {2 * rounds} units")
    assert attempts > 2 * rounds


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_twenty_backends_are_killed_and_no_unit_fails(with_tables: Container) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    killing = True
    outcomes: Counter[Outcome | None] = Counter()
    hooks: Counter[str] = Counter()
    kept: set[str] = set()

    async def worker(number: int) -> None:
        unit = 0
        while killing:
            note = f"{number}/{unit}"
            unit += 1

            async def store(session: AsyncSession, note: str = note) -> None:
                session.info["transaction"].after_commit(lambda: hooks.update([note]))
                session.info["transaction"].after_rollback(lambda: outcomes.update([Outcome.ROLLED_BACK]))
                await write(session, note)
                await session.execute(text("SELECT 1"))

            await execute_transaction(with_tables.transaction(), store, retry=Retry(attempts=6))
            outcomes[Outcome.COMMITTED] += 1
            kept.add(note)

    async def killer() -> int:
        nonlocal killing
        killed = 0
        try:
            while killed < 20:
                await asyncio.sleep(0.05)
                async with with_tables.engine().connect() as connection:
                    own = await connection.scalar(select(func.pg_backend_pid()))
                    pids = await connection.scalars(
                        text("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> :own"),
                        {"own": own},
                    )
                    killed += bool(
                        await connection.scalar(select(func.pg_terminate_backend(chance.choice(pids.all()))))
                    )
        finally:
            killing = False
        return killed

    killed, *_ = await asyncio.gather(killer(), *(worker(number) for number in range(10)))
    assert killed == 20
    assert await stored(with_tables) == kept
    assert hooks == Counter(dict.fromkeys(kept, 1))
    print(
        f"{killed} backends killed: {len(kept)} units kept, {outcomes[Outcome.ROLLED_BACK]} attempts undone, 0 failed"
    )

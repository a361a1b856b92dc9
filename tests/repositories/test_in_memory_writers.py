"""Writers in memory: one block at a time, and those inside it."""

import asyncio
from pathlib import Path

import pytest

from domain import User
from tests.fakes import InMemoryUsers
from tests.repositories.accounts import account
from unitwork import Outcome, Propagation, TransactionProvider
from unitwork.errors import LockNotAvailable, UniqueViolation
from unitwork.models import SYSTEM, acting_as
from unitwork.testing.fakes import FakeSessionProvider

ROOT = Path(__file__).parents[2]


@pytest.fixture
def sessions() -> FakeSessionProvider:
    return FakeSessionProvider()


@pytest.fixture
def users(sessions: FakeSessionProvider) -> InMemoryUsers:
    return InMemoryUsers(sessions)


def names(sessions: FakeSessionProvider) -> list[str | None]:
    return [user.display_name for user in sessions.committed(User)]


async def test_an_independent_transaction_commits_by_itself(
    sessions: FakeSessionProvider, users: InMemoryUsers
) -> None:
    transaction = TransactionProvider(sessions)
    with acting_as(SYSTEM), pytest.raises(LookupError):
        async with transaction():
            await users.add(account(display_name="outer"))
            async with transaction(Propagation.REQUIRES_NEW):
                await users.add(account("inner@example.com", display_name="inner"))
                assert await users.query().scalars("display_name") == ["inner"]
            assert names(sessions) == ["inner"]
            assert await users.query().scalars("display_name") == ["outer", "inner"]
            raise LookupError
    assert names(sessions) == ["inner"]
    assert sessions.outcomes == (Outcome.COMMITTED, Outcome.ROLLED_BACK)


async def test_an_independent_transaction_cannot_wait_for_the_one_around_it(
    sessions: FakeSessionProvider, users: InMemoryUsers
) -> None:
    transaction = TransactionProvider(sessions)
    with acting_as(SYSTEM):
        row = await users.add(account())
        async with transaction():
            await users.add(account("taken@example.com"))
            await users.update().eq("id", row.id).set(display_name="outer").execute()
            for write in (
                lambda: users.add(account("taken@example.com")),
                lambda: users.soft_delete(row.id),
                lambda: users.update().eq("id", row.id).set(phone=None).execute(),
            ):
                with pytest.raises(LockNotAvailable, match="for ever"):
                    async with transaction(Propagation.REQUIRES_NEW):
                        await write()
    assert names(sessions) == ["outer", None]


async def test_a_value_that_an_independent_transaction_has_taken_is_taken(
    sessions: FakeSessionProvider, users: InMemoryUsers
) -> None:
    transaction = TransactionProvider(sessions)
    with acting_as(SYSTEM), pytest.raises(UniqueViolation):
        async with transaction():
            await users.add(account("outer@example.com"))
            async with transaction(Propagation.REQUIRES_NEW):
                await users.add(account("taken@example.com"))
            await users.add(account("taken@example.com"))
    assert [user.email for user in sessions.committed(User)] == ["taken@example.com"]


async def test_one_block_writes_at_a_time_and_a_task_inside_it_need_not_wait(
    sessions: FakeSessionProvider, users: InMemoryUsers
) -> None:
    transaction = TransactionProvider(sessions)
    order: list[str] = []

    async def write(name: str) -> None:
        with acting_as(SYSTEM):
            async with transaction():
                order.append(f"{name} begins")
                await users.add(account(f"{name}@example.com", display_name=name))
                await asyncio.sleep(0.001)
                order.append(f"{name} ends")

    await asyncio.gather(write("a"), write("b"), write("c"))
    assert order == ["a begins", "b begins", "c begins", "a ends", "b ends", "c ends"]
    assert names(sessions) == ["a", "b", "c"]
    with acting_as(SYSTEM):
        async with transaction():
            await users.add(account("outer@example.com", display_name="outer"))
            await asyncio.create_task(write("inner"))
    assert names(sessions) == ["a", "b", "c", "outer", "inner"]


async def test_a_turn_that_does_not_come_is_not_waited_for_for_ever(
    sessions: FakeSessionProvider, users: InMemoryUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, seen = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        async with TransactionProvider(sessions)():
            await users.add(account())
            written.set()
            await seen.wait()

    with acting_as(SYSTEM):
        writing = asyncio.create_task(write())
        await written.wait()
        monkeypatch.setattr("unitwork.testing.fakes.rows.store.TURN_TIMEOUT_SECONDS", 0.01)
        with pytest.raises(LockNotAvailable, match="another block writes"):
            await users.add(account("late@example.com"))
        seen.set()
        await writing
    assert [user.email for user in sessions.committed(User)] == ["ann@example.com"]


async def test_without_a_transaction_a_writer_keeps_nobody_waiting(
    sessions: FakeSessionProvider, users: InMemoryUsers
) -> None:
    async def write() -> None:
        await users.add(account("other@example.com"))

    with acting_as(SYSTEM):
        async with TransactionProvider(sessions)(Propagation.NOT_SUPPORTED):
            await users.add(account("one@example.com"))
            await asyncio.create_task(write())
            await users.add(account("two@example.com"))
    assert len(sessions.committed(User)) == 3

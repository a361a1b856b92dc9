"""Tasks: what happens at once is put in some order, in memory as on a database."""

import asyncio

import pytest

from domain import User
from repositories.errors import UserNotFound
from tests.repositories.accounts import account
from tests.repositories.conformance import Subject, on_all
from unitwork.errors import SessionBelongsToAnotherTask, StaleVersion, UniqueViolation
from unitwork.models import SYSTEM, acting_as

pytestmark = [on_all, pytest.mark.usefixtures("acting")]


async def test_another_task_may_not_use_an_open_transaction(subject: Subject) -> None:
    async with subject.transaction() as tx:
        await subject.add("kept")
        for use in (lambda: subject.add("x"), subject.names, tx.session.flush, subject.users.flush):
            with pytest.raises(SessionBelongsToAnotherTask):
                await asyncio.create_task(use())
    assert await subject.names() == ["kept"]


async def test_a_cancelled_block_rolls_back(subject: Subject) -> None:
    entered = asyncio.Event()

    async def work() -> None:
        async with subject.transaction():
            await subject.add("lost")
            entered.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await subject.names() == []


@pytest.mark.database("own")
async def test_tasks_with_a_transaction_each_are_put_in_some_order(subject: Subject) -> None:
    (row,) = await subject.named("a")

    async def count(number: int) -> None:
        async with subject.transaction():
            await subject.users.update().eq("id", row.id).increment("created_by").execute()
            await asyncio.sleep(0)
            locked = await subject.users.get_locked(row.id)
            await asyncio.sleep(0.001)
            locked.phone = f"+1415555{number:04}"

    await asyncio.gather(*(count(number) for number in range(8)))
    found = await subject.users.get(row.id)
    assert (found.created_by, found.version) == (8, 17)


@pytest.mark.database("own")
async def test_of_parallel_registrations_of_one_address_exactly_one_wins(subject: Subject) -> None:
    async def register(number: int) -> str:
        try:
            async with subject.transaction():
                await asyncio.sleep(0)
                await subject.users.add(account("one@example.com", display_name=str(number)))
                await asyncio.sleep(0.001)
        except UniqueViolation:
            return "taken"
        return "stored"

    outcomes = await asyncio.gather(*(register(number) for number in range(6)))
    assert sorted(outcomes) == ["stored", *["taken"] * 5]
    assert len(await subject.names()) == 1


@pytest.mark.database("own")
async def test_a_reader_sees_what_is_committed_and_nothing_else(subject: Subject) -> None:
    (row,) = await subject.named("a")
    written, seen = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        async with subject.transaction():
            await subject.users.update().eq("id", row.id).set(display_name="b").execute()
            await subject.add("new")
            written.set()
            await seen.wait()

    writer = asyncio.create_task(write())
    await written.wait()
    assert await subject.names() == ["a"]
    seen.set()
    await writer
    assert await subject.names() == ["b", "new"]


@pytest.mark.database("own")
async def test_of_parallel_writers_of_one_version_one_wins(subject: Subject) -> None:
    (row,) = await subject.named("a")
    with acting_as(SYSTEM):
        outcomes = await asyncio.gather(
            *(subject.users.soft_delete(row.id, version=1) for _ in range(4)), return_exceptions=True
        )
    assert [type(outcome) for outcome in outcomes].count(User) == 1
    assert {type(outcome) for outcome in outcomes} <= {User, StaleVersion, UserNotFound}
    assert (await subject.users.get(row.id, include_deleted=True)).version == 2

"""What dooms a transaction dooms it in memory as on a database."""

from collections.abc import Awaitable, Callable

import pytest

from tests.repositories.conformance import Subject, on_all
from unitwork.errors import NoActingUser, NotFound, StaleVersion, TransactionRolledBack, UniqueViolation

pytestmark = [on_all, pytest.mark.usefixtures("acting")]


async def test_an_exception_that_leaves_a_joined_block_dooms(subject: Subject) -> None:
    with pytest.raises(TransactionRolledBack) as raised:
        async with subject.transaction():
            await subject.add("lost")
            with pytest.raises(LookupError):
                async with subject.transaction():
                    raise LookupError
    assert isinstance(raised.value.__cause__, LookupError)
    with pytest.raises(TransactionRolledBack):
        async with subject.transaction() as tx:
            await subject.add("lost")
            tx.set_rollback_only()
    assert await subject.names() == []


async def violation(subject: Subject) -> None:
    with pytest.raises(UniqueViolation):
        await subject.add("taken")


async def violation_by_update(subject: Subject) -> None:
    with pytest.raises(UniqueViolation):
        await subject.users.update().eq("display_name", "other").set(email_key="taken@example.com").execute()


async def stale(subject: Subject) -> None:
    row = await subject.users.query().eq("display_name", "other").one()
    async with subject.transaction() as tx:
        tx.session.expunge(row)
        await subject.users.update().eq("id", row.id).set(phone=None).execute()
    row.display_name = "x"
    with pytest.raises(StaleVersion):
        await subject.users.add(row)


async def no_author(subject: Subject) -> None:
    row = await subject.users.query().eq("display_name", "other").one()
    row.display_name = "x"
    with pytest.raises(NoActingUser):
        await outside_acting(subject.users.flush)


async def outside_acting(call: Callable[[], Awaitable[None]]) -> None:
    from unitwork.models.acting_user import _acting_user

    token = _acting_user.set(None)  # type: ignore[arg-type]
    try:
        await call()
    finally:
        _acting_user.reset(token)


@pytest.mark.parametrize("fail", [violation, violation_by_update, stale, no_author])
async def test_a_refusal_dooms_though_it_is_caught(
    subject: Subject, fail: Callable[[Subject], Awaitable[None]]
) -> None:
    await subject.named("other")
    await subject.add("taken")
    with pytest.raises(TransactionRolledBack) as raised:
        async with subject.transaction():
            await subject.add("lost")
            await fail(subject)
            with pytest.raises(TransactionRolledBack):
                await subject.names()
    assert isinstance(raised.value.__cause__, UniqueViolation | StaleVersion | NoActingUser)
    assert await subject.names() == ["other", "taken"]


async def test_what_no_database_refused_dooms_nothing(subject: Subject) -> None:
    async with subject.transaction():
        await subject.add("kept")
        with pytest.raises(NotFound):
            await subject.users.get(1)
        with pytest.raises(LookupError):
            async with subject.container.session_provider()():
                raise LookupError
    assert await subject.names() == ["kept"]

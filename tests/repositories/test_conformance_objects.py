"""Objects: what becomes of a row's model inside a block and after it, in memory as on a database."""

from datetime import timedelta

import pytest

from domain import User
from tests.repositories.accounts import account
from tests.repositories.conformance import Subject, on_all
from unitwork.errors import StaleVersion
from unitwork.models import SYSTEM, acting_as
from unitwork.models.utc_datetime import utc_now

pytestmark = on_all


async def test_one_row_is_one_object_in_a_transaction_and_another_outside(subject: Subject) -> None:
    (row,) = await subject.named("a")
    async with subject.transaction():
        found = await subject.users.get(row.id)
        assert await subject.users.get(row.id) is found
        assert await subject.users.query().eq("display_name", "a").one() is found
        assert [one async for one in subject.users.query().stream()] == [found]
        assert await subject.users.get_locked(row.id) is found
    assert found is not row
    assert await subject.users.get(row.id) is not found


async def test_a_change_inside_a_transaction_is_stored_with_a_new_version(subject: Subject) -> None:
    (row,) = await subject.named("a")
    with acting_as(8):
        async with subject.transaction():
            found = await subject.users.get(row.id)
            found.display_name = "b"
            assert await subject.users.query().eq("display_name", "b").exists(), "it is flushed before a question"
            assert (found.version, found.updated_by, found.created_by) == (2, 8, SYSTEM)
            assert found.updated_at > row.updated_at
            found.display_name = "b"
            await subject.users.flush()
            found.display_name = "c"
            found.display_name = "b"
            await subject.users.flush()
            assert found.version == 2, "what ends as it began is no change"
            found.phone = "+14155550132"
    assert (found.version, found.display_name) == (3, "b")
    assert (await subject.users.get(row.id)).version == 3


async def test_what_a_change_says_itself_is_not_stamped(subject: Subject) -> None:
    (row,) = await subject.named("a")
    moment = utc_now() + timedelta(days=1)
    with acting_as(8):
        async with subject.transaction():
            found = await subject.users.get(row.id)
            found.display_name, found.updated_by, found.updated_at = "b", 99, moment
    again = await subject.users.get(row.id)
    assert (again.version, again.updated_by, again.updated_at) == (2, 99, moment)


async def test_a_change_outside_a_transaction_stays_with_its_object(subject: Subject) -> None:
    (row,) = await subject.named("a")
    found = await subject.users.get(row.id)
    for one in (row, found):
        one.display_name = "changed"
    with acting_as(SYSTEM):
        await subject.users.flush()
    assert await subject.names() == ["a"]


async def test_an_object_from_outside_can_be_added_with_its_changes(subject: Subject) -> None:
    (row,) = await subject.named("a")
    row.display_name = "b"
    with acting_as(SYSTEM):
        await subject.users.add(row)
        assert row.version == 2
        row.display_name = "c"
        await subject.users.update().eq("id", row.id).set(phone="+14155550132").execute()
        with pytest.raises(StaleVersion):
            await subject.users.add(row)
    assert await subject.names() == ["b"]


async def test_a_row_somebody_else_has_changed_is_stale(subject: Subject) -> None:
    (row,) = await subject.named("a")
    with acting_as(SYSTEM):
        first, second = await subject.users.get(row.id), await subject.users.get(row.id)
        first.display_name, second.display_name = "first", "second"
        await subject.users.add(first)
        with pytest.raises(StaleVersion):
            await subject.users.add(second)
    assert await subject.names() == ["first"]


async def test_after_a_rollback_a_new_row_can_be_added_again_and_a_read_one_is_as_it_was(subject: Subject) -> None:
    (read,) = await subject.named("a")
    new = account("new@example.com", display_name="new")

    async def fail() -> User:
        async with subject.transaction():
            found.append(await subject.users.get(read.id))
            await subject.users.add(new)
            raise LookupError

    found: list[User] = []
    with acting_as(SYSTEM):
        with pytest.raises(LookupError):
            await fail()
        assert (new.display_name, new.version) == ("new", 1)
        assert (found[0].id, found[0].display_name) == (read.id, "a")
        await subject.users.add(new)
    assert await subject.names() == ["a", "new"]

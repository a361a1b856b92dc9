"""Updates: what is set, stamped and told is the same in memory as on a database."""

import pytest

from domain import User, UserStatus
from tests.repositories.accounts import account
from tests.repositories.conformance import Subject, on_all
from unitwork.errors import UnconditionalUpdate, UniqueViolation, UnknownColumn
from unitwork.models import SYSTEM, acting_as

pytestmark = on_all


async def test_an_update_counts_what_it_matched_and_stamps_it(subject: Subject) -> None:
    rows = await subject.named("a", "a", "b")
    users = subject.users
    with acting_as(5):
        assert await users.update().eq("display_name", "a").set(display_name="c").execute() == 2
        assert await users.update().eq("display_name", "z").set(display_name="c").execute() == 0
        assert await users.update().eq("display_name", "c").set(display_name="c").execute() == 2
    found = await users.query().all()
    assert [(row.display_name, row.version, row.updated_by, row.created_by) for row in found] == [
        ("c", 3, 5, SYSTEM),
        ("c", 3, 5, SYSTEM),
        ("b", 1, SYSTEM, SYSTEM),
    ]
    assert found[0].updated_at == found[1].updated_at > found[2].updated_at == rows[2].updated_at


async def test_an_update_takes_values_and_expressions(subject: Subject) -> None:
    (row,) = await subject.named("a")
    update = subject.users.update().eq("id", row.id)
    with acting_as(SYSTEM):
        await update.set(display_name=User.display_name + "!", phone=None, status="suspended").execute()
        await update.increment("created_by", 5).increment(User.updated_by, -1).execute()
        await update.increment("created_by").set(created_by=User.created_by + 7).execute()
    found = await subject.users.get(row.id)
    assert (found.display_name, found.phone, found.status) == ("a!", None, UserStatus.SUSPENDED)
    assert (found.version, found.created_by, found.updated_by) == (4, 12, SYSTEM)


async def test_an_update_that_says_too_little_is_refused(subject: Subject) -> None:
    await subject.named("a")
    update = subject.users.update()
    with acting_as(SYSTEM):
        with pytest.raises(UnconditionalUpdate) as raised:
            await update.set(display_name="x").execute()
        assert raised.value.model == "User"
        with pytest.raises(ValueError, match="sets nothing"):
            await update.all_rows().execute()
        with pytest.raises(UnknownColumn):
            update.set(nme="x")
        with pytest.raises(UnknownColumn):
            update.increment("vrsion")
    assert await subject.names() == ["a"]


async def test_an_update_reaches_the_objects_a_transaction_holds(subject: Subject) -> None:
    (row,) = await subject.named("a")
    with acting_as(9):
        async with subject.transaction():
            found = await subject.users.get(row.id)
            found.phone = "+14155550132"
            changed = subject.users.update().eq("phone", "+14155550132").set(display_name="b")
            assert await changed.increment("created_by", 2).execute() == 1, "what is pending is flushed before"
            assert (found.display_name, found.version, found.updated_by, found.created_by) == ("b", 3, 9, 2)
            found.display_name = "c"
    assert (await subject.users.get(row.id)).version == 4


async def test_an_update_wins_over_what_is_pending_for_its_columns(subject: Subject) -> None:
    (row,) = await subject.named("a")
    with acting_as(SYSTEM):
        async with subject.transaction(autoflush=False):
            found = await subject.users.get(row.id)
            found.display_name, found.phone = "pending", "+14155550132"
            await subject.users.update().eq("id", row.id).set(display_name="updated").execute()
            assert (found.display_name, found.phone, found.version) == ("updated", "+14155550132", 2)
    again = await subject.users.get(row.id)
    assert (again.display_name, again.phone, again.version) == ("updated", "+14155550132", 3)


async def test_an_update_that_breaks_a_constraint_changes_nothing(subject: Subject) -> None:
    await subject.named("a", "b", "c")
    with acting_as(SYSTEM):
        with pytest.raises(UniqueViolation) as raised:
            await subject.users.update().all_rows().set(phone="+14155550132").execute()
        assert raised.value.columns == ("phone",)
        assert await subject.users.count().column("phone") == 0
        await subject.users.add(account("d@example.com", phone="+14155550132"))

"""Many rows at once, over memory and every database alike."""

from collections.abc import Iterator
from typing import Any

import pytest

from domain import Role, User, UserStatus
from tests.repositories.accounts import account
from tests.repositories.conformance import Subject, on_all
from unitwork.errors import NoSuchKey, NotNullViolation, UniqueViolation, UnknownColumn
from unitwork.models import SYSTEM, acting_as

pytestmark = [on_all, pytest.mark.usefixtures("acting")]


def mapping(name: str, **values: Any) -> dict[str, Any]:
    return {"email": f"{name}@example.com", "email_key": f"{name}@example.com", "display_name": name, **values}


async def test_models_come_back_with_their_ids_and_stamps(subject: Subject) -> None:
    rows = [account("a@example.com"), account("b@example.com", role=Role.ADMIN)]
    assert await subject.users.add_many(rows) is rows
    first, second = rows
    assert first.id < second.id
    assert (first.version, first.role, first.status) == (1, Role.USER, UserStatus.ACTIVE)
    assert first.created_at == first.updated_at
    assert (first.created_by, first.updated_by) == (SYSTEM, SYSTEM)
    assert (await subject.users.get(second.id)).role is Role.ADMIN


async def test_mappings_with_different_columns_keep_their_defaults_and_are_counted(subject: Subject) -> None:
    """Traps 4, 7 and 18."""
    rows = [mapping("a"), mapping("b", role=Role.ADMIN, phone="+14155550132"), mapping("c", status=None)]
    assert await subject.users.add_many(rows) == 3
    a, b, c = await subject.users.query().order_by("display_name").all()
    assert [(row.role, row.status, row.phone, row.version) for row in (a, b, c)] == [
        (Role.USER, UserStatus.ACTIVE, None, 1),
        (Role.ADMIN, UserStatus.ACTIVE, "+14155550132", 1),
        (Role.USER, UserStatus.ACTIVE, None, 1),
    ]
    assert len({row.id for row in (a, b, c)}) == 3
    assert {(row.created_by, row.updated_by) for row in (a, b, c)} == {(SYSTEM, SYSTEM)}
    assert a.created_at == a.updated_at


async def test_rows_may_come_one_by_one_and_be_of_both_kinds(subject: Subject) -> None:
    def rows() -> Iterator[Any]:
        yield mapping("a")
        yield account("b@example.com", display_name="b")
        yield mapping("c")

    assert await subject.users.add_many(rows()) == 3
    assert await subject.names() == ["a", "b", "c"]
    assert await subject.users.add_many([]) == []
    assert await subject.users.add_many(iter([])) == 0


async def test_what_is_no_row_is_refused_and_nothing_stored(subject: Subject) -> None:
    rows: list[Any] = [mapping("a"), {"emial": "b@example.com"}]
    with pytest.raises(UnknownColumn, match="Did you mean 'email'"):
        await subject.users.add_many(rows)
    with pytest.raises(TypeError, match="a str is no row of User"):
        await subject.users.add_many(iter(["b"]))  # type: ignore[arg-type]
    with pytest.raises(UnknownColumn):
        await subject.users.upsert_many([{"emial": "x"}], on="email_key")
    assert await subject.names() == []


async def test_all_or_none_are_stored(subject: Subject) -> None:
    with pytest.raises(UniqueViolation) as raised:
        await subject.users.add_many([mapping("a"), mapping("b"), mapping("a")])
    assert raised.value.columns == ("email_key",)
    assert await subject.names() == []


async def test_an_upsert_stores_what_is_new_and_changes_what_is_there(subject: Subject) -> None:
    (there,) = await subject.named("before", role=Role.ADMIN)
    changed = {**mapping("user0"), "display_name": "after"}
    assert await subject.users.upsert_many([changed, mapping("new")], on="email_key") == 2
    row = await subject.users.get(there.id)
    assert (row.display_name, row.role, row.version) == ("after", Role.ADMIN, 2)
    assert (row.created_at, row.created_by) == (there.created_at, there.created_by)
    assert row.updated_at > there.updated_at
    new = await subject.users.query().eq("display_name", "new").one()
    assert (new.version, new.role) == (1, Role.USER)
    assert new.created_at == new.updated_at


async def test_an_upsert_counts_versions_up_and_stamps_who_did_it(subject: Subject) -> None:
    (there,) = await subject.named("a")
    with acting_as(there.id):
        for name in ("b", "c"):
            await subject.users.upsert_many([{**mapping("user0"), "display_name": name}], on=User.email_key)
    row = await subject.users.get(there.id)
    assert (row.display_name, row.version, row.created_by, row.updated_by) == ("c", 3, SYSTEM, there.id)


async def test_an_upsert_takes_over_what_it_is_told_alone(subject: Subject) -> None:
    (there,) = await subject.named("before")
    row = {**mapping("user0", phone="+14155550132"), "display_name": "after"}
    await subject.users.upsert_many([row], on=["email_key"], update=["phone"])
    found = await subject.users.get(there.id)
    assert (found.display_name, found.phone, found.version) == ("before", "+14155550132", 2)
    await subject.users.upsert_many([{**row, "phone": None}, mapping("new")], on="email_key", update=[])
    found = await subject.users.get(there.id)
    assert (found.display_name, found.phone, found.version) == ("before", "+14155550132", 2)
    assert await subject.names() == ["before", "new"]


async def test_of_rows_with_one_key_the_last_wins(subject: Subject) -> None:
    rows = [{**mapping("a"), "display_name": name} for name in ("one", "two", "three")]
    assert await subject.users.upsert_many(rows, on="email_key") == 3
    (row,) = await subject.users.query().all()
    assert (row.display_name, row.version) == ("three", 3)


async def test_a_soft_deleted_row_is_changed_and_stays_deleted_unless_told(subject: Subject) -> None:
    (there,) = await subject.named("before")
    await subject.users.soft_delete(there.id)
    await subject.users.upsert_many([{**mapping("user0"), "display_name": "after"}], on="email_key")
    row = await subject.users.get(there.id, include_deleted=True)
    assert (row.display_name, row.deleted, row.version) == ("after", True, 3)
    await subject.users.upsert_many([mapping("user0")], on="email_key", update=["deleted_at"])
    assert not (await subject.users.get(there.id)).deleted


async def test_another_key_that_is_taken_is_refused_and_changes_no_other_row(subject: Subject) -> None:
    await subject.named("a", phone="+14155550132")
    with pytest.raises(UniqueViolation):
        await subject.users.upsert_many([mapping("other", phone="+14155550132")], on="email_key")
    assert await subject.names() == ["a"]
    with pytest.raises(NoSuchKey, match=r"no unique key of users is over display_name\. Name one that is: id; "):
        await subject.users.upsert_many([mapping("b")], on="display_name")
    with pytest.raises((NotNullViolation, TypeError, UnknownColumn)):
        await subject.users.upsert_many([{**mapping("b"), "nothing": 1}], on="id")


async def test_an_upsert_is_seen_by_the_models_that_the_transaction_holds(subject: Subject) -> None:
    """Trap 15."""
    (there,) = await subject.named("before")
    async with subject.transaction():
        held = await subject.users.get(there.id)
        await subject.users.upsert_many([{**mapping("user0"), "display_name": "after"}], on="email_key")
        assert (held.display_name, held.version) == ("after", 2)
        held.display_name = "later"
    assert (await subject.users.get(there.id)).version == 3

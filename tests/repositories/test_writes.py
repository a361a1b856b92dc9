"""Updates and deletes that tell their rows, and the version that decides who wins, by every way to write."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import update

from containers import Container
from domain import User
from tests.repositories.accounts import store_named
from tests.repositories.conformance import Subject, on_all
from unitwork.errors import (
    NotFound,
    NotSupported,
    OutOfRange,
    StaleVersion,
    UnconditionalDelete,
    UnknownColumn,
    VersionIsCounted,
)
from unitwork.models import SYSTEM, acting_as

Attempt = Callable[[Container, User], Awaitable[object]]


@on_all
async def test_an_update_gives_its_rows_as_they_are_afterwards(subject: Subject) -> None:
    rows = await subject.named("a", "a", "b")
    with acting_as(7):
        update = subject.users.update().eq("display_name", "a").set(display_name="c").increment("created_by", 2)
        changed = await update.returning()
    assert [(row.id, row.display_name, row.version, row.updated_by, row.created_by) for row in changed] == [
        (row.id, "c", 2, 7, 2) for row in rows[:2]
    ]
    assert [row.updated_at > row.created_at for row in changed] == [True, True]
    with acting_as(SYSTEM):
        assert await subject.users.update().eq("display_name", "z").set(display_name="c").returning() == []
        async with subject.transaction():
            held = await subject.users.get(rows[2].id)
            (told,) = await subject.users.update().eq("id", held.id).set(display_name="d").returning()
            assert told is held
            assert (held.display_name, held.version) == ("d", 2)
            held.change({"display_name": "e"})
    assert (await subject.users.get(rows[2].id)).display_name == "e"


@on_all
async def test_a_delete_removes_for_good_what_matches_and_tells_it(subject: Subject) -> None:
    rows = await subject.named("a", "a", "b", "c")
    users = subject.users
    with acting_as(SYSTEM):
        assert await users.delete().eq("display_name", "a").execute() == 2
        assert await users.delete().eq("display_name", "a").execute() == 0
        await users.soft_delete(rows[2].id)
        assert await users.delete().eq("id", rows[2].id).execute() == 0, "what is soft-deleted is left alone"
        gone = await users.delete(include_deleted=True).all_rows().returning()
    assert [row.display_name for row in gone] == ["b", "c"]
    assert await users.count(include_deleted=True).rows() == 0
    with pytest.raises(UnconditionalDelete, match=r"deletes every User.*\.all_rows\(\)"):
        await users.delete().execute()
    with pytest.raises(UnknownColumn, match="Did you mean 'email'"):
        users.delete().eq("emial", "x")


@on_all
async def test_a_delete_that_rolls_back_has_deleted_nothing(subject: Subject) -> None:
    (row,) = await subject.named("a")

    async def fail() -> None:
        async with subject.transaction():
            held = await subject.users.get(row.id)
            assert await subject.users.delete().eq("id", held.id).execute() == 1
            assert await subject.users.get_or_none(row.id) is None
            raise ZeroDivisionError

    with acting_as(SYSTEM), pytest.raises(ZeroDivisionError):
        await fail()
    assert (await subject.users.get(row.id)).display_name == "a"


@on_all
async def test_the_version_is_counted_and_never_set(subject: Subject) -> None:
    (row,) = await subject.named("a")
    with pytest.raises(VersionIsCounted, match=r"\.eq\('version', version\)"):
        subject.users.update().set(version=7)
    with pytest.raises(VersionIsCounted):
        subject.users.update().increment("version")
    assert (await subject.users.get(row.id)).version == 1


@on_all
async def test_an_id_that_no_row_can_have_is_not_found_and_no_error_of_a_driver(subject: Subject) -> None:
    (row,) = await subject.named("a")
    users = subject.users
    for number in (1 << 63, -(1 << 63), 1 << 200):
        assert await users.get_or_none(number) is None
        assert [found.id for found in await users.get_many([number, row.id, number])] == [row.id]
        for ask in (users.get, users.get_locked, users.soft_delete, users.purge):
            with acting_as(SYSTEM), pytest.raises(NotFound):
                await ask(number)
        with pytest.raises(OutOfRange, match="64 bits"):
            users.query().gt("id", number)
        with pytest.raises(OutOfRange):
            users.query().in_("id", [1, number])


ATTEMPTS: dict[str, Attempt] = {
    "update": lambda c, row: c.user_dao().update().filter_by(id=row.id, version=row.version).set(phone=None).execute(),
    "update returning": lambda c, row: (
        c.user_dao().update().eq("id", row.id).eq("version", row.version).set(phone=None).returning()
    ),
    "delete": lambda c, row: c.user_dao().delete().eq("id", row.id).eq("version", row.version).execute(),
    "delete returning": lambda c, row: c.user_dao().delete().filter_by(id=row.id, version=row.version).returning(),
    "soft_delete": lambda c, row: c.user_dao().soft_delete(row.id, version=row.version),
    "purge": lambda c, row: c.user_dao().purge(row.id, version=row.version),
    "service update": lambda c, row: c.user_service().update(row.id, {"display_name": "y"}, version=row.version),
}


@pytest.mark.database("own")
@pytest.mark.parametrize("one", ATTEMPTS)
async def test_of_two_writers_with_the_same_version_exactly_one_wins(container: Container, one: str) -> None:
    for other in ("update", one):
        (row,) = await store_named(container, "a")
        with acting_as(SYSTEM):
            ends = await asyncio.gather(
                ATTEMPTS[one](container, row), ATTEMPTS[other](container, row), return_exceptions=True
            )
            lost = [end for end in ends if isinstance(end, BaseException)]
            assert len(lost) == 1, ends
            assert isinstance(lost[0], StaleVersion | NotFound), lost
            if "purge" not in one and "delete" not in one:
                assert isinstance(lost[0], StaleVersion), lost
            await container.user_dao().delete(include_deleted=True).all_rows().execute()


async def test_a_flush_of_a_version_that_was_overtaken_is_refused(container: Container) -> None:
    (row,) = await store_named(container, "a")

    async def overtaken() -> None:
        async with container.transaction()() as tx:
            held = await container.user_dao().get(row.id)
            overtaking = update(User).where(User.id == row.id).values(display_name="b")
            await tx.session.execute(overtaking, execution_options={"synchronize_session": False})
            held.display_name = "c"
            await container.user_dao().flush()

    with acting_as(SYSTEM), pytest.raises(StaleVersion):
        await overtaken()
    assert (await container.user_dao().get(row.id)).display_name == "a"


def test_what_a_database_lacks_is_named_with_the_way_out() -> None:
    error = NotSupported("SKIP LOCKED", "sqlite", "Leave it out.")
    assert str(error) == "sqlite has no SKIP LOCKED. Leave it out."

"""Update: what it changes, what it leaves alone, and what it tells."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, text

from containers import Container
from domain import Role, User
from tests.repositories.accounts import account, store, store_named, stored
from unitwork.dao import BaseDao
from unitwork.errors import UnconditionalUpdate
from unitwork.models import SYSTEM, acting_as


async def test_an_update_tells_how_many_rows_matched(container: Container) -> None:
    """Trap 13: execute() returned nothing."""
    await store_named(container, "a", "a", "b")
    dao = container.user_dao()
    with acting_as(SYSTEM):
        assert await dao.update().eq("display_name", "a").set(display_name="c").execute() == 2
        assert await dao.update().contains("display_name", "c").set(display_name="c").execute() == 2
        assert await dao.update().eq("display_name", "z").set(display_name="c").execute() == 0
        assert await dao.update().in_("id", []).set(display_name="c").execute() == 0
    assert await dao.query().order_by("id").scalars("display_name") == ["c", "c", "b"]


async def test_an_update_stamps_version_moment_and_author(container: Container) -> None:
    row, other = await store_named(container, "a", "b")
    with acting_as(9):
        await container.user_dao().update().eq("id", row.id).set(display_name="c", role=Role.ADMIN).execute()
    found = await container.user_dao().get(row.id)
    assert (found.display_name, found.role, found.version, found.updated_by) == ("c", Role.ADMIN, 2, 9)
    assert (found.created_by, found.created_at) == (SYSTEM, row.created_at)
    assert found.updated_at > row.updated_at
    assert (await container.user_dao().get(other.id)).version == 1


def test_without_a_condition_it_refuses_and_tells_the_way_out() -> None:
    """Trap 6: an update without a condition changed the whole table."""
    dao = BaseDao[User](lambda **_: pytest.fail("no session is asked for"), User)
    for update in (dao.update(), dao.update().where(), dao.update().filter_by()):
        with pytest.raises(UnconditionalUpdate, match=r"every User.*\.all_rows\(\)"):
            _ = update.set(display_name="x").statement


async def test_a_refused_update_changes_nothing(container: Container) -> None:
    await store_named(container, "a", "b")
    with acting_as(SYSTEM), pytest.raises(UnconditionalUpdate):
        await container.user_dao().update().set(display_name="x").execute()
    assert [row["version"] for row in await stored(container, "SELECT version FROM users")] == [1, 1]


async def test_every_row_when_every_row_is_meant_but_no_deleted_one(container: Container) -> None:
    """Trap 6: soft-deleted rows were changed too."""
    kept, gone = await store_named(container, "a", "b")
    dao = container.user_dao()
    with acting_as(SYSTEM):
        await dao.soft_delete(gone.id)
        assert await dao.update().all_rows().set(display_name="x").execute() == 1
        assert await dao.update().eq("id", gone.id).set(display_name="x").execute() == 0
        assert (await dao.get(gone.id, include_deleted=True)).display_name == "b"
        assert await dao.update(include_deleted=True).all_rows().set(display_name="y").execute() == 2
    assert (await dao.get(kept.id)).display_name == "y"


def test_an_update_that_sets_nothing_is_an_error() -> None:
    dao = BaseDao[User](lambda **_: pytest.fail("no session is asked for"), User)
    with pytest.raises(ValueError, match="sets nothing"):
        _ = dao.update().eq("id", 1).statement


async def test_none_sets_null_and_expressions_are_run_by_the_database(container: Container) -> None:
    row, other = await store_named(container, "a", "b")
    dao = container.user_dao()
    with acting_as(SYSTEM):
        await dao.update().eq("id", row.id).set(display_name=None).execute()
        await dao.update().eq("id", other.id).set(display_name=func.upper(User.display_name)).execute()
    assert await dao.query().scalars("display_name") == [None, "B"]


async def test_increments_at_once_all_count(container: Container) -> None:
    (row,) = await store(container, [account()])
    dao = container.user_dao()
    with acting_as(SYSTEM):
        await dao.update().eq("id", row.id).increment("created_by", 10).execute()
        assert (await dao.get(row.id)).created_by == 10

        async def add_one() -> int:
            return await container.user_dao().update().eq("id", row.id).increment(User.created_by).execute()

        assert await asyncio.gather(*(add_one() for _ in range(8))) == [1] * 8
    found = await dao.get(row.id)
    assert (found.created_by, found.version) == (18, 10)


async def test_a_value_that_is_none_of_the_choices_is_refused(container: Container) -> None:
    """Trap 7: unknown values were let through; this one would make the row unreadable."""
    (row,) = await store(container, [account()])
    dao = container.user_dao()
    with acting_as(SYSTEM):
        with pytest.raises(LookupError):
            await dao.update().eq("id", row.id).set(role="emperor").execute()
        with pytest.raises(LookupError):
            await dao.add(account("other@example.com", status="asleep"))
    found: dict[str, Any] = dict((await stored(container, "SELECT role, status, version FROM users"))[0])
    assert found == {"role": "user", "status": "active", "version": 1}


@pytest.mark.parametrize("condition", ["id", "name"])
async def test_rows_that_the_session_holds_follow_an_update(container: Container, condition: str) -> None:
    """Trap 15: synchronize_session=False left a stale identity map."""
    row, other = await store_named(container, "a", "b")
    dao = container.user_dao()
    with acting_as(5):
        async with container.transaction()() as tx:
            held, untouched = await dao.get(row.id), await dao.get(other.id)
            update = dao.update().eq("id", row.id) if condition == "id" else dao.update().contains("display_name", "a")
            assert (
                await update.set(email=func.upper(User.email), email_key=User.email_key, display_name="new").execute()
                == 1
            )
            assert (held.display_name, held.email, held.version, held.updated_by) == ("new", "USER0@EXAMPLE.COM", 2, 5)
            assert (untouched.display_name, untouched.version) == ("b", 1)
            assert await dao.get(row.id) is held
            held.change({"display_name": "newer"})
            await tx.session.flush()
            assert held.version == 3
    found = await dao.get(row.id)
    assert (found.display_name, found.version, found.updated_at) == ("newer", 3, held.updated_at)


async def test_a_refused_update_leaves_the_model_as_it_was(container: Container) -> None:
    """Trap 14: the model in memory was changed before the UPDATE succeeded."""
    row, _ = await store_named(container, "a", "b")
    dao = container.user_dao()

    async def collide() -> None:
        async with container.transaction()():
            held = await dao.get(row.id)
            try:
                await dao.update().eq("id", row.id).set(email_key="user1@example.com").execute()
            finally:
                seen.append((held.email_key, held.version))

    seen: list[tuple[str | None, int]] = []
    with acting_as(SYSTEM), pytest.raises(Exception, match="email_key"):
        await collide()
    assert seen == [("user0@example.com", 1)]


async def test_an_update_outside_a_transaction_commits_by_itself(container: Container) -> None:
    (row,) = await store(container, [account()])
    with acting_as(SYSTEM):
        await container.user_dao().update().eq("id", row.id).set(display_name="x").execute()
    assert container.schema().connections_in_use == 0
    async with container.engine().connect() as connection:
        assert (await connection.scalar(text("SELECT display_name FROM users"))) == "x"


async def test_an_update_inside_a_transaction_goes_with_it(container: Container) -> None:
    (row,) = await store(container, [account(display_name="a")])

    async def fail() -> None:
        async with container.transaction()():
            await container.user_dao().update().eq("id", row.id).set(display_name="x").execute()
            raise ZeroDivisionError

    with acting_as(SYSTEM), pytest.raises(ZeroDivisionError):
        await fail()
    assert (await container.user_dao().get(row.id)).display_name == "a"

"""BaseDao: what every DAO can do, inside a transaction and outside."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import Integer
from sqlalchemy.orm import Mapped, mapped_column

from containers import Container
from domain import Role, Token, User
from repositories import UserDao
from repositories.errors import UserNotFound
from tests.repositories.accounts import account, store, store_named, stored
from tests.repositories.shelves import ShelfBase
from unitwork.dao import BaseDao
from unitwork.errors import NotFound, StaleVersion, UnknownColumn
from unitwork.models import SYSTEM, acting_as
from unitwork.models.utc_datetime import utc_now


class Note(ShelfBase):
    """A model that can't be soft-deleted."""

    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    text: Mapped[str]


async def test_get_gives_the_row_or_says_which_is_missing(container: Container) -> None:
    (row,) = await store(container, [account()])
    dao = container.user_dao()
    assert (await dao.get(row.id)).email == "ann@example.com"
    assert await dao.get_or_none(row.id + 1) is None
    with pytest.raises(UserNotFound, match=f"there is no user with id {row.id + 1}") as raised:
        await dao.get(row.id + 1)
    assert raised.value.id == row.id + 1
    with pytest.raises(NotFound, match="there is no token with id 0"):
        await container.token_dao().get(0)


async def test_get_many_keeps_the_order_of_the_ids(container: Container) -> None:
    one, two, gone = await store_named(container, "1", "2", "3")
    dao = container.user_dao()
    with acting_as(SYSTEM):
        await dao.soft_delete(gone.id)
    wanted = [two.id, 12345, one.id, gone.id, two.id]
    assert [row.display_name for row in await dao.get_many(iter(wanted))] == ["2", "1", "2"]
    assert await dao.get_many([]) == []


async def test_what_add_stores_is_there_on_another_connection(container: Container) -> None:
    """Trap 1: a session documented as committing only yielded."""
    with acting_as(4):
        row = await container.user_dao().add(account(role=Role.ADMIN))
    assert container.schema().connections_in_use == 0
    (found,) = await stored(container, "SELECT id, email, role, version, created_by FROM users")
    assert dict(found) == {
        "id": row.id,
        "email": "ann@example.com",
        "role": "admin",
        "version": 1,
        "created_by": 4,
    }
    assert (row.version, row.created_by, row.deleted) == (1, 4, False)


async def test_add_many_stores_all_or_none(container: Container) -> None:
    rows = await store(container, [account(f"u{number}@example.com") for number in range(300)])
    ids = [row.id for row in rows]
    assert ids == sorted(set(ids))
    assert await container.user_dao().count().rows() == 300
    with acting_as(SYSTEM), pytest.raises(Exception, match="email_key"):
        await container.user_dao().add_many([account("new@example.com"), account("u7@example.com")])
    assert await container.user_dao().count().rows() == 300
    with acting_as(SYSTEM):
        assert list(await container.user_dao().add_many([])) == []


async def test_rows_with_different_columns_are_added_together(container: Container) -> None:
    """Trap 18: rows with different keys failed. Trap 4: unset ones must keep their defaults."""
    await store(container, [account("a@b.c"), account("b@b.c", role=Role.ADMIN), account("c@b.c", display_name="C")])
    found = await container.user_dao().query().order_by("email").all()
    assert [(row.role, row.display_name) for row in found] == [(Role.USER, None), (Role.ADMIN, None), (Role.USER, "C")]


async def test_soft_delete_hides_restore_shows_and_purge_ends(container: Container) -> None:
    (row,) = await store(container, [account()])
    dao, before = container.user_dao(), utc_now()
    with acting_as(6):
        gone = await dao.soft_delete(row.id)
        assert gone.deleted_at is not None
        assert before <= gone.deleted_at <= utc_now()
        assert (gone.version, gone.updated_by) == (2, 6)
        assert await dao.get_or_none(row.id) is None
        assert (await dao.get(row.id, include_deleted=True)).deleted
        with pytest.raises(UserNotFound):
            await dao.soft_delete(row.id)
        back = await dao.restore(row.id)
        assert (back.deleted_at, back.version) == (None, 3)
        assert (await dao.restore(row.id)).version == 3
        await dao.soft_delete(row.id)
        await dao.purge(row.id)
        for end in (dao.purge, dao.restore, dao.soft_delete):
            with pytest.raises(UserNotFound):
                await end(row.id)
    assert await stored(container, "SELECT id FROM users") == []


async def test_another_version_is_stale_for_every_way_to_end_a_row(container: Container) -> None:
    (row,) = await store(container, [account()])
    dao = container.user_dao()
    with acting_as(SYSTEM):
        for end in (dao.soft_delete, dao.restore, dao.purge):
            for version in (0, 2):
                with pytest.raises(StaleVersion):
                    await end(row.id, version=version)
        assert (await dao.soft_delete(row.id, version=1)).version == 2
        assert (await dao.restore(row.id, version=2)).version == 3
        await dao.purge(row.id, version=3)
    assert await dao.count(include_deleted=True).rows() == 0


async def test_one_of_two_deletes_at_once_wins(container: Container) -> None:
    (row,) = await store(container, [account()])
    with acting_as(SYSTEM):
        outcomes = await asyncio.gather(
            *(container.user_dao().soft_delete(row.id, version=1) for _ in range(4)), return_exceptions=True
        )
    assert [type(outcome) for outcome in outcomes].count(User) == 1
    assert {type(outcome) for outcome in outcomes} <= {User, StaleVersion, UserNotFound}
    assert (await container.user_dao().get(row.id, include_deleted=True)).version == 2


async def test_a_purged_account_takes_its_tokens_along(container: Container) -> None:
    (row,) = await store(container, [account()])
    with acting_as(SYSTEM):
        await container.token_dao().add(Token.issue(row.id, lifetime=timedelta(hours=1))[0])
        await container.user_dao().purge(row.id)
    assert await container.token_dao().count(include_deleted=True).rows() == 0


async def test_soft_deleting_what_has_no_such_column_is_an_error(container: Container) -> None:
    """Trap 16: it was a silent no-op."""
    notes = BaseDao(container.session_provider(), Note)
    async with container.engine().begin() as connection:
        await connection.run_sync(ShelfBase.metadata.create_all)
    await notes.add(Note(id=1, text="kept"))
    for mark in (notes.soft_delete, notes.restore):
        with pytest.raises(UnknownColumn, match="Note has no column 'deleted_at'"):
            await mark(1)
    assert (await notes.get(1)).text == "kept"
    assert await notes.count().rows() == 1
    await notes.purge(1)
    assert await notes.get_or_none(1) is None


async def test_daos_inside_a_transaction_are_one_unit(container: Container) -> None:
    """Traps 2 and 3: every DAO call was on a session and a connection of its own."""

    async def fail() -> None:
        async with container.transaction()() as tx:
            row = await container.user_dao().add(account())
            await container.token_dao().add(Token.issue(row.id, lifetime=timedelta(hours=1))[0])
            assert await container.user_dao().get(row.id) is row
            assert row in tx.session
            assert container.schema().connections_in_use == 1
            raise ZeroDivisionError

    with acting_as(SYSTEM), pytest.raises(ZeroDivisionError):
        await fail()
    assert await stored(container, "SELECT id FROM users") == []
    assert await stored(container, "SELECT id FROM tokens") == []


async def test_outside_a_transaction_each_call_is_a_unit_and_leaves_no_connection(container: Container) -> None:
    dao = container.user_dao()
    with acting_as(SYSTEM):
        row = await dao.add(account())
        assert container.schema().connections_in_use == 0
        with pytest.raises(Exception, match="email_key"):
            await dao.add(account())
        assert container.schema().connections_in_use == 0
        with pytest.raises(UserNotFound):
            await dao.get(1)
    assert container.schema().connections_in_use == 0
    found = await dao.get(row.id)
    assert found is not row
    assert await dao.count().rows() == 1


async def test_a_dao_takes_its_model_from_its_class_or_from_its_argument(container: Container) -> None:
    assert UserDao(container.session_provider()).model is User
    assert BaseDao(container.session_provider(), Token).model is Token

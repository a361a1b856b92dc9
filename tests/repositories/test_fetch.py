"""A SELECT of a DAO's own gives what a session gives, and is sent as the DAO's other reads are."""

import gc
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import BindParameter, bindparam, func, inspect, literal, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import aliased, load_only

from containers import Container
from domain import Token, User
from domain.token import digest_of
from tests.repositories.accounts import account, store, store_named
from tests.repositories.portraits import Seen, differing, seen
from tests.repositories.test_direct_statements import compiled as _compiled
from unitwork.dao import BaseDao
from unitwork.dao.statements import joined_rows
from unitwork.dao.statements.joined_rows import row_plan
from unitwork.errors import ReadOnlyTransaction
from unitwork.models import SYSTEM, acting_as

compiled = _compiled
pytestmark = [pytest.mark.usefixtures("acting"), pytest.mark.database("own")]

NAME: BindParameter[str] = bindparam("name")
PAIRS = (
    select(User, Token, User.display_name, func.length(User.display_name).label("length"))
    .outerjoin(Token, Token.user_id == User.id)
    .where(User.display_name != NAME)
    .order_by(User.display_name, Token.id)
    .execution_options(include_deleted=True)
)


@pytest.fixture
async def users(container: Container) -> BaseDao[User]:
    """Ann with two tokens, Ben without one, Cid deleted."""
    ann, _, cid = await store_named(container, "Ann", "Ben", "Cid")
    with acting_as(SYSTEM):
        for _ in range(2):
            await container.token_dao().add(Token.issue(ann.id, lifetime=timedelta(hours=1))[0])
        await container.user_dao().soft_delete(cid.id)
    return container.user_dao()


def shown(rows: Any) -> list[Any]:
    return [(user.display_name, token and token.user_id == user.id, name, length) for user, token, name, length in rows]


WANTED = [("Ann", True, "Ann", 3), ("Ann", True, "Ann", 3), ("Ben", None, "Ben", 3), ("Cid", None, "Cid", 3)]


async def test_a_join_is_what_a_session_gives_outside_and_inside(container: Container, users: BaseDao[User]) -> None:
    for _ in range(3):
        rows = await users.fetch(PAIRS, name="-")
        assert shown(rows) == WANTED
        assert shown(await users.fetch(PAIRS, name="Ben")) == [one for one in WANTED if one[0] != "Ben"]
        assert rows[0][0] is rows[1][0]
        assert rows[0][1] is not rows[1][1]
        async with container.transaction()(read_only=True) as tx:
            held = await users.get(rows[0][0].id)
            inside = await users.fetch(PAIRS, name="-")
            assert shown(inside) == WANTED
            assert inside[0][0] is inside[1][0] is held
            assert all(one in tx.session for row in inside for one in row[:2] if one is not None)
            theirs = (await tx.session.execute(PAIRS, {"name": "-"})).all()
            assert list(map(tuple, theirs)) == inside
        async with container.transaction()(read_only=True) as tx:
            theirs = (await tx.session.execute(PAIRS, {"name": "-"})).all()
            wanted = portraits(theirs)
        async with container.transaction()(read_only=True):
            told = differing("inside", portraits(await users.fetch(PAIRS, name="-")), wanted)
        told += differing("outside", portraits(rows), portraits(theirs))
        assert not told, "\n".join(told)


def portraits(rows: Any) -> list[Seen]:
    return [one for row in rows for one in seen(row[:2])]


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_it_is_compiled_once(container: Container, users: BaseDao[User], compiled: list[str]) -> None:
    await users.fetch(PAIRS, name="-")
    compiled.clear()
    for _ in range(3):
        assert shown(await users.fetch(PAIRS, name="-")) == WANTED
        async with container.transaction()():
            assert shown(await users.fetch(PAIRS, name="-")) == WANTED
    assert compiled == []


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_authentication_is_one_statement_that_the_driver_sends(container: Container, compiled: list[str]) -> None:
    (row,) = await store(container, [account()])
    with acting_as(SYSTEM):
        _, secret = await container.auth_service().issue(row.id, lifetime=timedelta(hours=1))
    auth, monitor = container.auth_service(), container.sql_monitor()
    await auth.authenticate(secret)
    compiled.clear()
    before = (
        monitor.shapes.totals.count if hasattr(monitor.shapes, "totals") else sum(one.count for one in monitor.shapes)
    )
    assert (await auth.authenticate(secret)).id == row.id
    after = (
        monitor.shapes.totals.count if hasattr(monitor.shapes, "totals") else sum(one.count for one in monitor.shapes)
    )
    assert (compiled, after - before) == ([], 1)
    found = await container.token_dao().with_user(digest_of(secret))
    assert found is not None
    assert inspect(found[0]).detached
    assert inspect(found[1]).detached


async def test_deleted_rows_are_left_out_unless_they_are_asked_for(container: Container, users: BaseDao[User]) -> None:
    models = select(User).where(User.display_name != NAME).order_by(User.display_name)
    names = select(User.display_name, User.id).where(User.display_name != NAME).order_by(User.display_name)
    for _ in range(3):
        assert [row.display_name for (row,) in await users.fetch(models, name="-")] == ["Ann", "Ben"]
        assert [name for name, _ in await users.fetch(names, name="-")] == ["Ann", "Ben"]
        everybody = names.execution_options(include_deleted=True)
        assert [name for name, _ in await users.fetch(everybody, name="-")] == ["Ann", "Ben", "Cid"]


async def test_what_a_plan_does_not_cover_goes_through_a_session(container: Container, users: BaseDao[User]) -> None:
    other = aliased(User)
    statements = [
        select(other).order_by(other.display_name),
        select(User).order_by(User.display_name).with_for_update(),
        select(User).order_by(User.display_name).options(load_only(User.display_name)),
    ]
    statements = [one.execution_options(include_deleted=True) for one in statements]
    assert [row_plan(one) for one in statements] == [None] * 3
    async with container.transaction()():
        for statement in statements:
            found = await users.fetch(statement)
            assert [row.display_name for (row,) in found] == ["Ann", "Ben", "Cid"]
    constant = select(User.display_name, literal(7)).where(User.display_name == "Ann")
    assert await users.fetch(constant) == [("Ann", 7)]


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_lock_of_its_own_is_refused_where_nothing_may_be_written(
    container: Container, users: BaseDao[User]
) -> None:
    locking = select(User).where(User.display_name != NAME).with_for_update()
    for _ in range(2):
        with pytest.raises(ReadOnlyTransaction):
            async with container.transaction()(read_only=True):
                await users.fetch(locking, name="-")


async def test_parameters_are_those_of_the_statement(users: BaseDao[User]) -> None:
    preset = select(User.display_name).where(User.display_name == bindparam("name", value="Ben"))
    for _ in range(3):
        assert await users.fetch(preset) == [("Ben",)]
        assert await users.fetch(preset, name="Ann") == [("Ann",)]
        with pytest.raises(SQLAlchemyError, match="bind parameter"):
            await users.fetch(PAIRS)


async def test_a_plan_lives_as_long_as_its_statement() -> None:
    statement = select(User.id).where(User.id == bindparam("id"))
    assert row_plan(statement) is not None
    kept = len(joined_rows._plans)
    del statement
    gc.collect()
    assert len(joined_rows._plans) < kept

"""Statements: built once for each shape, with values as parameters, over any list and any subquery."""

import asyncio
from typing import assert_type

import pytest
from sqlalchemy import func, select

from containers import Container
from domain import Role, User
from tests.repositories.accounts import store_named
from unitwork.dao import Page, Slice
from unitwork.dao.statements.selection import MAX_CACHED_STATEMENTS, selection
from unitwork.errors import OutsideSubquery
from unitwork.models import SYSTEM, acting_as

CANARY = "canary-4711"


async def test_no_value_is_ever_part_of_a_statement(container: Container) -> None:
    dao = container.user_dao()
    query = dao.query().eq("email", CANARY).contains("display_name", CANARY).in_("phone", [CANARY]).limit(4711)
    update = dao.update().like("email", CANARY).set(display_name=CANARY).increment("created_by", 4711)
    first = await dao.query().order_by("email").after(None, 1)
    statements = [query.statement, dao.count().ne("email", CANARY).statement, update.statement]
    statements += [dao.delete().startswith("email", CANARY).statement, dao.query().filter_by(email=CANARY).statement]
    for statement in statements:
        assert "4711" not in str(statement.compile(container.engine().sync_engine))
    assert first.items == []


async def test_queries_of_one_shape_share_a_statement_and_keep_their_values(container: Container) -> None:
    await store_named(container, *(str(number) for number in range(20)))
    dao = container.user_dao()
    await dao.query().eq("display_name", "0").first()
    built = selection.cache_info().misses

    async def ask(number: int) -> str | None:
        row = await dao.query().eq("display_name", str(number)).first()
        return None if row is None else row.display_name

    asked = [number % 25 for number in range(60)]
    found = await asyncio.gather(*(ask(number) for number in asked))
    assert found == [str(number) if number < 20 else None for number in asked]
    assert selection.cache_info().misses == built
    assert selection.cache_info().maxsize == MAX_CACHED_STATEMENTS


@pytest.mark.parametrize("length", [3, 999, 40_000])
async def test_a_list_may_be_longer_than_a_statement_may_have_parameters(container: Container, length: int) -> None:
    """asyncpg takes 32,767, and SQLite as many where it was built so."""
    rows = await store_named(container, "a", "b", None)
    dao, ids = container.user_dao(), [row.id for row in rows]
    many = [*range(1, length), *ids]
    assert [row.id for row in await dao.get_many(many)] == ids
    assert await dao.query().in_("id", many).scalars("id") == ids
    assert await dao.query().not_in("id", many).all() == []
    names = [f"x{number}" for number in range(length)]
    assert await dao.query().in_("display_name", [*names, "a"]).scalars("display_name") == ["a"]
    assert await dao.query().not_in("display_name", [*names, "a"]).scalars("display_name") == ["b"]
    assert await dao.query().in_("created_at", [rows[0].created_at] * length).in_("role", [Role.USER] * length).exists()
    assert await dao.count().in_("id", many).rows() == 3
    with acting_as(SYSTEM):
        assert await dao.update().in_("id", many).set(display_name="c").execute() == 3
        assert len(await dao.delete().in_("id", many).returning()) == 3


async def test_a_list_is_compared_with_whole_values(container: Container) -> None:
    await store_named(container, "a" * 200)
    dao = container.user_dao()
    assert not await dao.query().in_("display_name", ["a" * 201]).exists()
    assert await dao.query().in_("display_name", ["a" * 200]).exists()


async def test_a_query_over_a_subquery_asks_its_rows_and_not_the_table(container: Container) -> None:
    """Trap 17: a builder over a subquery filtered the base table, a cartesian join."""
    await store_named(container, "a", "b", "c", "d")
    dao = container.user_dao()
    newest = select(User).order_by(User.id.desc()).limit(2)
    query = dao.query().from_subquery(newest)
    assert await query.scalars("display_name") == ["c", "d"]
    assert await query.eq("display_name", "a").all() == []
    assert await dao.query().eq("display_name", "d").from_subquery(newest.subquery()).scalars("display_name") == ["d"]
    for condition in (User.display_name == "c", query.entity.display_name == "c"):
        found = query.where(condition).order_by("-id")
        assert [row.display_name for row in await found.all()] == ["c"]
        assert " users, " not in str(found.statement)
        assert len(found.statement.get_final_froms()) == 1
    found_page = await query.page(1, 1)
    assert ([row.display_name for row in found_page.items], found_page.total) == (["c"], 2)
    assert [row.display_name for row in (await query.after(None, 5)).items] == ["c", "d"]
    with pytest.raises(ValueError, match=r"it lacks .*display_name"):
        dao.query().from_subquery(select(User.id))
    with pytest.raises(OutsideSubquery, match=r"\.entity"):
        query.where(User.id.in_(select(User.id).where(User.email == "x")))


async def test_the_types_of_what_a_query_gives_are_known(container: Container) -> None:
    """The checker's test as much as pytest's: `make check` compares the types."""
    (row,) = await store_named(container, "a")
    dao = container.user_dao()
    query = dao.query().where(User.email.is_not(None)).order_by("-created_at")
    assert_type(await query.all(), list[User])
    assert_type(await query.first(), User | None)
    assert_type(await query.one(), User)
    assert_type(await query.scalars(User.email), list[str | None])
    assert_type(await query.scalars(User.id), list[int])
    assert_type(await query.page(1, 5), Page[User])
    assert_type(await query.after(None, 5), Slice[User])
    assert_type(await query.exists(), bool)
    assert_type(await dao.get(row.id), User)
    assert_type([found async for found in query.stream()], list[User])
    assert_type(await dao.count().rows(), int)
    with acting_as(SYSTEM):
        assert_type(await dao.update().eq("id", row.id).set(phone=None).returning(), list[User])
        assert_type(await dao.delete().eq("id", row.id).returning(), list[User])


async def test_values_may_be_sql(container: Container) -> None:
    await store_named(container, "a", "USER1@EXAMPLE.COM")
    query = container.user_dao().query()
    assert await query.eq("display_name", func.upper(User.email)).scalars("display_name") == ["USER1@EXAMPLE.COM"]
    ids = select(User.id).where(User.display_name == "a")
    assert await query.in_("id", ids).scalars("display_name") == ["a"]

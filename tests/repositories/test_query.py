"""Query: its order, its limits, its last words."""

from contextlib import aclosing

import pytest
from sqlalchemy import event

from containers import Container
from domain import Role, User
from tests.repositories.accounts import account, store_named, stored
from unitwork.dao import BaseDao
from unitwork.errors import NotFound, TooManyRows
from unitwork.models import SYSTEM, acting_as


def sql(dao: BaseDao[User], *order: str) -> str:
    query = dao.query().order_by(*order) if order else dao.query()
    return str(query.statement).partition("ORDER BY ")[2]


async def test_an_explicit_order_replaces_the_default_and_the_key_breaks_ties(container: Container) -> None:
    """Trap 9: the default order came first, and ties made pages unstable."""
    dao = container.user_dao()
    assert sql(dao) == "users.id ASC"
    assert sql(dao, "-version") == "users.version DESC, users.id DESC"
    assert sql(dao, "version", "-created_at") == "users.version ASC, users.created_at DESC, users.id DESC"
    assert sql(dao, "version", "id") == "users.version ASC, users.id ASC"
    assert sql(dao, "-id", "version") == "users.id DESC, users.version ASC"
    assert str(dao.query().order_by("email").order_by("version").statement).endswith("users.version ASC, users.id ASC")
    rows = await store_named(container, "b", "a", "b", "a")
    ids = [row.id for row in rows]
    assert await dao.query().order_by("display_name").scalars("id") == [ids[1], ids[3], ids[0], ids[2]]
    assert await dao.query().order_by("-display_name").scalars("id") == [ids[2], ids[0], ids[3], ids[1]]
    assert await dao.query().scalars("id") == ids


async def test_first_reads_one_row(container: Container) -> None:
    """Trap 10: first() had no LIMIT."""
    await store_named(container, "a", "b")
    statements: list[str] = []

    def capture(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(container.engine().sync_engine, "before_cursor_execute", capture)
    found = await container.user_dao().query().order_by("-display_name").first()
    assert found is not None
    assert found.display_name == "b"
    assert [statement for statement in statements if "FROM users" in statement and " LIMIT " in statement]
    assert await container.user_dao().query().eq("display_name", "z").first() is None


async def test_one_wants_exactly_one_row(container: Container) -> None:
    await store_named(container, "a", "b", "b")
    query = container.user_dao().query()
    assert (await query.eq("display_name", "a").one()).display_name == "a"
    assert (await query.eq("display_name", "a").one_or_none()) is not None
    assert await query.eq("display_name", "z").one_or_none() is None
    with pytest.raises(NotFound, match="user"):
        await query.eq("display_name", "z").one()
    for ask in (query.eq("display_name", "b").one, query.eq("display_name", "b").one_or_none):
        with pytest.raises(TooManyRows, match="Narrow the conditions"):
            await ask()


async def test_limit_and_offset_cut_the_ordered_rows(container: Container) -> None:
    await store_named(container, *"abcde")
    query = container.user_dao().query().order_by("display_name")
    assert await query.limit(2).scalars("display_name") == ["a", "b"]
    assert await query.limit(2).offset(3).scalars("display_name") == ["d", "e"]
    assert await query.limit(0).all() == []
    assert [row.display_name for row in await query.offset(4).limit(9).all()] == ["e"]
    assert await query.offset(5).limit(1).exists() is False
    for refused in (query.limit, query.offset):
        with pytest.raises(ValueError, match="give 0 or more"):
            refused(-1)


async def test_scalars_gives_values_as_the_model_has_them(container: Container) -> None:
    rows = await store_named(container, "a")
    query = container.user_dao().query()
    assert await query.scalars("role") == [Role.USER]
    assert await query.scalars(User.created_at) == [rows[0].created_at]


async def test_a_stream_gives_every_row_in_order_and_returns_its_connection(container: Container) -> None:
    await store_named(container, *(f"{number:02}" for number in range(25)))
    query = container.user_dao().query().order_by("-display_name")
    names = [row.display_name async for row in query.stream(chunk=4)]
    assert names == [f"{number:02}" for number in reversed(range(25))]
    assert container.schema().connections_in_use == 0


async def test_a_stream_left_early_returns_its_connection(container: Container) -> None:
    await store_named(container, *"abcdef")
    async with aclosing(container.user_dao().query().stream(chunk=2)) as rows:
        async for row in rows:
            assert row.display_name == "a"
            assert container.schema().connections_in_use == 1
            break
    assert container.schema().connections_in_use == 0


@pytest.mark.database("own")
async def test_a_query_inside_a_transaction_sees_its_writes_and_nobody_else_does(container: Container) -> None:
    dao = container.user_dao()
    with acting_as(SYSTEM):
        async with container.transaction()():
            await dao.add(account())
            assert await dao.query().exists()
            assert [row.email async for row in dao.query().stream()] == ["ann@example.com"]
            assert await dao.count().rows() == 1
            assert container.schema().connections_in_use == 1
            assert await stored(container, "SELECT * FROM users") == []
    assert len(await stored(container, "SELECT * FROM users")) == 1

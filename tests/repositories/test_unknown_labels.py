"""A row that a newer version has written, with a label that this one doesn't know, is told by table, row and column."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select, text, update
from sqlalchemy.orm import aliased, defer

from containers import Container
from domain import User, UserStatus
from unitwork.errors import UnknownLabel
from unitwork.models import SYSTEM, acting_as

pytestmark = pytest.mark.database("own")
Way = Callable[[Container, int], Awaitable[Any]]


async def stream(container: Container, _: int) -> None:
    async for _row in container.user_dao().query().stream(chunk=2):
        pass


async def streamed_columns(container: Container, _: int) -> None:
    async with container.transaction()() as tx:
        rows = await tx.session.stream(select(User.id, User.status))
        async for _row in rows:
            pass


async def in_session(container: Container, statement: Any) -> Any:
    async with container.transaction()() as tx:
        return (await tx.session.scalars(statement)).all()


async def refresh(container: Container, id_: int) -> None:
    async with container.transaction()() as tx:
        user = (await tx.session.scalars(select(User).where(User.id == id_).options(defer(User.status)))).one()
        await tx.session.refresh(user, ["status"])


async def in_block(container: Container, id_: int) -> None:
    async with container.transaction()():
        for _ in range(3):
            await container.user_dao().get(id_)


WAYS: dict[str, Way] = {
    "get": lambda container, id_: container.user_dao().get(id_),
    "get in a block": in_block,
    "get_or_none": lambda container, id_: container.user_dao().get_or_none(id_),
    "get_many": lambda container, id_: container.user_dao().get_many([id_]),
    "all": lambda container, _: container.user_dao().query().all(),
    "first": lambda container, _: container.user_dao().query().order_by("-id").first(),
    "one": lambda container, id_: container.user_dao().query().eq("id", id_).one(),
    "one_or_none": lambda container, id_: container.user_dao().query().eq("id", id_).one_or_none(),
    "page": lambda container, _: container.user_dao().query().page(1, 10),
    "after": lambda container, _: container.user_dao().query().after(None, 10),
    "stream": stream,
    "streamed columns": streamed_columns,
    "returning": lambda container, id_: container.user_dao().update().eq("id", id_).set(display_name="x").returning(),
    "scalars of a user's own": lambda container, _: in_session(container, select(User)),
    "an alias": lambda container, _: in_session(container, select(aliased(User, name="u"))),
    "an UPDATE … RETURNING of a user's own": lambda container, id_: in_session(
        container, update(User).where(User.id == id_).values(display_name="y").returning(User)
    ),
}


@pytest_asyncio.fixture
async def row(container: Container) -> int:
    with acting_as(SYSTEM):
        for name in ("ann", "bob"):
            await container.user_dao().add(User.create({"email": f"{name}@example.com"}))
        user = await container.user_dao().add(User.create({"email": "newer@example.com"}))
    # Ways that keep a plan of what was sent before have one.
    for _ in range(3):
        await container.user_dao().get(user.id)
        await container.user_dao().get_or_none(user.id)
    async with container.engine().begin() as connection:
        await connection.execute(text("UPDATE users SET status = 'hibernated' WHERE id = :id"), {"id": user.id})
    return user.id


@pytest.mark.parametrize("way", WAYS)
async def test_each_way_to_read_it_names_table_row_column_and_label(container: Container, row: int, way: str) -> None:
    if way.startswith("an UPDATE") and container.engine().dialect.name in {"mysql", "mariadb"}:
        pytest.skip("it has no UPDATE … RETURNING")
    with pytest.raises(UnknownLabel) as told, acting_as(SYSTEM):
        await WAYS[way](container, row)
    error = told.value
    assert (error.table, error.column, error.label) == ("users", "status", "hibernated")
    assert error.key == {"id": row}
    assert f"the row id {row} of users has 'hibernated' in status" in str(error)
    assert container.schema().connections_in_use == 0


async def test_where_the_key_was_not_read_the_rest_is_told(container: Container, row: int) -> None:
    with pytest.raises(UnknownLabel, match="a row of users has 'hibernated' in status") as told:
        await container.user_dao().query().scalars("status")
    assert told.value.key == {}


async def test_a_refresh_names_it_too(container: Container, row: int) -> None:
    with pytest.raises(UnknownLabel, match="hibernated"):
        await refresh(container, row)


async def test_what_does_not_read_it_works_and_it_can_be_mended(container: Container, row: int) -> None:
    users = container.user_dao()
    with acting_as(SYSTEM):
        assert await users.count().rows() == 3
        assert len(await users.query().scalars("id")) == 3
        assert len(await users.query().eq("status", UserStatus.ACTIVE).all()) == 2
        with pytest.raises(UnknownLabel):  # the audit trail has to tell what was there
            await users.update().eq("id", row).set(status=UserStatus.ACTIVE).execute()
        async with container.engine().begin() as connection:
            await connection.execute(text("UPDATE users SET status = 'active' WHERE id = :id"), {"id": row})
        assert (await users.get(row)).status is UserStatus.ACTIVE


async def test_it_dooms_nothing(container: Container, row: int) -> None:
    """It is no error of the database's: what else the block did can be stored."""
    with acting_as(SYSTEM):
        async with container.transaction()():
            with pytest.raises(UnknownLabel):
                await container.user_dao().query().all()
            await container.user_dao().add(User.create({"email": "stored@example.com"}))
    assert await container.user_dao().count().rows() == 4


def test_a_long_label_is_shown_in_part() -> None:
    shown = str(UnknownLabel("users", "status", "x" * 5000, {"id": 1}))
    assert len(shown) < 300

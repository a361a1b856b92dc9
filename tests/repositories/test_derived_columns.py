"""Keys that are made of another column's text go with it by every way to write it, in memory too."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
from sqlalchemy import bindparam, func, insert, update

from containers import Container
from domain import User
from domain.email_address import email_key
from domain.search_key import search_key
from tests.fakes import over_fakes
from tests.repositories.accounts import account
from unitwork.errors import KeyNeedsText
from unitwork.models import SYSTEM, acting_as

TABLE: Final[Any] = User.__table__
NAME: Final = "Zoë Größe"
EMAIL: Final = "Ann@München.example"


async def assert_keyed(container: Container, *, named: int) -> None:
    """Every account has the keys of its address and its name; so many have this name."""
    users = await container.user_dao().query(include_deleted=True).all()
    assert sum(user.display_name == NAME for user in users) == named
    for user in users:
        assert user.name_key == (None if user.display_name is None else search_key(user.display_name))
        assert user.email_key == (None if user.email is None else email_key(user.email))


Way = Callable[[Any, User], Awaitable[Any]]


async def flushed(users: Any, row: User) -> None:
    row = await users.get_locked(row.id)
    row.display_name, row.email = NAME, EMAIL
    await users.flush()


WAYS: Final[dict[str, Way]] = {
    "a model's attributes": flushed,
    "a builder's set": lambda users, row: users.update().eq("id", row.id).set(display_name=NAME, email=EMAIL).execute(),
    "a builder's returning": lambda users, row: (
        users.update().eq("id", row.id).set(display_name=NAME).set(email=EMAIL).returning()
    ),
    "an upsert": lambda users, row: users.upsert_many([{"id": row.id, "display_name": NAME, "email": EMAIL}], on="id"),
    "an upsert that names what it takes": lambda users, row: users.upsert_many(
        [{"id": row.id, "display_name": NAME, "email": EMAIL, "phone": "+14155550132"}],
        on="id",
        update=("display_name", User.email),
    ),
    "an upsert by the key": lambda users, row: users.upsert_many(
        [{"email": row.email, "display_name": NAME}], on="email_key"
    ),
    "an upsert of a model": lambda users, row: users.upsert_many(
        [User(id=row.id, email=EMAIL, display_name=NAME)], on="id"
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("alone", [True, False])
async def test_a_change_of_the_text_changes_its_key(container: Container, way: str, alone: bool) -> None:
    users = container.user_dao()
    with acting_as(SYSTEM):
        row = await users.add(account(display_name="before"))
        if alone and way != "a model's attributes":
            await WAYS[way](users, row)
        else:
            async with container.transaction()():
                await WAYS[way](users, row)
    await assert_keyed(container, named=1)


@pytest.mark.parametrize("way", WAYS)
async def test_the_fakes_do_as_the_databases(way: str) -> None:
    container, _ = over_fakes()
    users = container.user_dao()
    with acting_as(SYSTEM):
        row = await users.add(account(display_name="before"))
        async with container.transaction()():
            await WAYS[way](users, row)
        await users.add_many([{"email": "a@example.com", "display_name": NAME}, {"phone": "+14155550139"}])
    await assert_keyed(container, named=2)


@pytest.mark.parametrize("number", [1, 3, 2500])
async def test_new_rows_have_their_keys_however_they_are_stored(container: Container, number: int) -> None:
    """2,500 are copied, where there is COPY."""
    users = container.user_dao()
    rows = [{"email": f"Ann{index}@MÜNCHEN.example", "display_name": NAME} for index in range(number)]
    rows += [{"email": f"nameless{index}@example.com"} for index in range(number)]
    models = [User(email=f"model{index}@example.com", display_name=NAME) for index in range(number)]
    with acting_as(SYSTEM):
        await users.add_many(rows)
        await users.add_many(models)
        await users.add(User(email="One@example.com", display_name=NAME))
        await users.upsert_many([{"email": "two@example.com", "display_name": NAME}], on="email_key")
        async with container.transaction()() as tx:
            await tx.session.execute(insert(User).values(email="Three@example.com", display_name=NAME))
            await tx.session.execute(insert(TABLE).values({"email": "Four@example.com", "display_name": NAME}))
            tx.session.add(User(email="Five@example.com", display_name=NAME))
    await assert_keyed(container, named=2 * number + 5)


async def test_somebody_s_own_update_has_the_keys_too(container: Container) -> None:
    with acting_as(SYSTEM):
        row = await container.user_dao().add(account(display_name="before"))
        here = update(User).where(User.id == row.id)
        async with container.transaction()() as tx:
            await tx.session.execute(here.values(display_name=NAME))
            await tx.session.execute(here.values({User.email: EMAIL}))
        await assert_keyed(container, named=1)
        async with container.session_provider()() as session:
            await session.execute(update(TABLE).values(display_name=None))
        await assert_keyed(container, named=0)
        async with container.transaction()() as tx:
            for lacking in (here.values(email=func.lower(User.email)), here.values(email=bindparam("text"))):
                with pytest.raises(KeyNeedsText, match="email is set to SQL"):
                    await tx.session.execute(lacking, {"text": EMAIL})
            with pytest.raises(KeyNeedsText, match="display_name is set to"):
                await tx.session.execute(update(User), [{"id": row.id, "display_name": NAME}])
            version = (await container.user_dao().get(row.id)).version
            keyed = {"id": row.id, "version": version, "display_name": NAME, "name_key": search_key(NAME)}
            await tx.session.execute(update(User), [keyed])
    await assert_keyed(container, named=1)


async def test_of_sql_a_needed_key_is_refused_and_another_is_left_out(container: Container) -> None:
    users = container.user_dao()
    with pytest.raises(KeyNeedsText, match="email is set to SQL"):
        users.update().set(email=func.lower(User.email))
    with acting_as(SYSTEM):
        row = await users.add(account(display_name=NAME))
        await users.update().eq("id", row.id).set(display_name=func.upper(User.display_name)).execute()
        assert (await users.get(row.id)).name_key is None, "it would be the old name's"
        assert await container.contact_check().mend() == 0
        found = await users.get(row.id)
    assert found.name_key == search_key(str(found.display_name))
    assert (found.version, found.updated_by) == (2, SYSTEM), "nobody has changed the account by it"

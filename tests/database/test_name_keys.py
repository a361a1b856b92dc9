"""Migration 0007: names that are there already get their keys."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from containers import Container, running
from domain import User
from repositories import UserFilter
from settings import Settings
from unitwork.models import SYSTEM, acting_as
from unitwork.testing.servers.databases import Databases

BEFORE = "0006"


@pytest.fixture
def empty_url(databases: Databases, backend: str) -> Iterator[str]:
    """A database without a table."""
    url = databases.create(backend, migrated=False)
    yield url
    databases.drop(url)


async def test_names_that_are_there_already_are_found_after_the_migration(empty_url: str) -> None:
    async with running(Container(settings=Settings(database={"url": empty_url}, node_id=1))) as container:
        schema, users = container.schema(), container.user_dao()
        await schema.upgrade()
        with acting_as(SYSTEM):
            named = [User.create({"email": f"u{number}@example.com", "display_name": "Özil"}) for number in range(1001)]
            await users.add_many([*named, User.create({"email": "nameless@example.com"})])
        await schema.downgrade(BEFORE)
        async with schema._engine.connect() as connection:
            assert (await connection.execute(text("SELECT count(*) FROM users"))).scalar_one() == 1002
        await schema.upgrade()
        assert await UserFilter(name="ozil").apply(users.count()).rows() == 1001
        assert await users.count().is_null("name_key").rows() == 1
        assert await schema.differences() == []

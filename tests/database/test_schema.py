"""Schema: up, down and up again, and the models match what the migrations made."""

from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import inspect

from containers import Container, running
from settings import Settings
from unitwork.models import SYSTEM, Base, acting_as
from unitwork.schema import Schema, with_library_tables
from unitwork.testing.servers.databases import Databases


@pytest.fixture
def empty_url(databases: Databases, backend: str) -> Iterator[str]:
    """A database without a table."""
    url = databases.create(backend, migrated=False)
    yield url
    databases.drop(url)


@pytest.fixture
async def schema(empty_url: str) -> AsyncIterator[Schema]:
    async with running(Container(settings=Settings(database={"url": empty_url}))) as container:
        yield container.schema()


async def tables(schema: Schema) -> set[str]:
    async with schema._engine.connect() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


async def test_up_down_and_up_again(schema: Schema) -> None:
    assert await schema.current() is None
    assert await schema.differences() != []
    await schema.upgrade()
    assert await schema.current() == schema.head
    assert await schema.differences() == []
    known = {name for metadata in with_library_tables(Base.metadata) for name in metadata.tables}
    assert await tables(schema) == {"alembic_version", *known}
    assert {"node_leases", "audit_entries"} <= known
    await schema.downgrade("base")
    assert await schema.current() is None
    assert await tables(schema) == {"alembic_version"}
    await schema.upgrade()
    await schema.upgrade()
    assert await schema.current() == schema.head
    assert await schema.differences() == []
    assert schema.connections_in_use == 0


async def test_a_failed_migration_leaves_nothing_behind(schema: Schema) -> None:
    async with schema._engine.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE tokens (id INTEGER)")
    with pytest.raises(Exception, match=r"tokens|DuplicateTable"):
        await schema.upgrade()
    assert await tables(schema) - {"alembic_version"} == {"tokens"}
    assert await schema.current() is None
    assert schema.connections_in_use == 0


async def test_an_unknown_revision_is_an_error(schema: Schema) -> None:
    with pytest.raises(Exception, match="nonsense"):
        await schema.upgrade("nonsense")
    assert await tables(schema) - {"alembic_version"} == set()


async def test_an_index_or_constraint_that_is_missing_is_a_difference(container: Container) -> None:
    schema = container.schema()
    assert await schema.differences() == []
    async with container.engine().begin() as connection:
        await connection.exec_driver_sql("DROP INDEX ix_users_created_at_id")
    assert [difference[0] for difference in await schema.differences()] == ["add_index"]


async def test_every_constraint_has_the_name_that_errors_tell(container: Container) -> None:
    async with container.engine().connect() as connection:
        unique = await connection.run_sync(lambda sync: inspect(sync).get_unique_constraints("users"))
        checks = await connection.run_sync(lambda sync: inspect(sync).get_check_constraints("users"))
        foreign = await connection.run_sync(lambda sync: inspect(sync).get_foreign_keys("tokens"))
    assert {constraint["name"] for constraint in unique} == {"uq_users_email_key", "uq_users_phone"}
    assert {constraint["name"] for constraint in checks} == {"ck_users_contact", "ck_users_email_key"}
    assert [constraint["name"] for constraint in foreign] == ["fk_tokens_user_id"]


async def test_the_schema_survives_a_round_trip_with_rows_in_it(container: Container) -> None:
    with acting_as(SYSTEM):
        await container.user_service().create({"email": "ann@example.com"})
    await container.schema().downgrade("base")
    await container.schema().upgrade()
    assert await container.user_dao().count().rows() == 0

"""A database of PostgreSQL that a test has left is used again, when it is the template's copy again."""

from collections.abc import Iterator

import asyncpg
import pytest
from sqlalchemy import make_url

from containers import Container, running
from settings import Settings
from unitwork.models import SYSTEM, acting_as
from unitwork.testing.servers import postgresql as server
from unitwork.testing.servers import restore
from unitwork.testing.servers.databases import Databases

SETTING = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I {}', current_database()); END $$"


@pytest.fixture
def left(databases: Databases) -> Iterator[str]:
    """A database of its own, whose test comes to its end."""
    url = databases.create("postgresql")
    yield url
    if name_of(url) in server.databases_of(name_of(url)):
        server.drop(name_of(url))


def name_of(url: str) -> str:
    return make_url(url).database or ""


def restored(databases: Databases, url: str) -> bool:
    databases.drop(url)
    if url not in databases._emptied["postgresql"]:
        return False
    databases._emptied["postgresql"].remove(url)
    return True


async def sent(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "CREATE TABLE notes (id serial PRIMARY KEY, author bigint REFERENCES users (id))",
        "CREATE TEMPORARY TABLE notes (id int)",
        "TRUNCATE users CASCADE",
        "ANALYZE",
        "VACUUM FULL users",
    ],
)
async def test_what_leaves_the_template_as_it_was_is_emptied(databases: Databases, left: str, sql: str) -> None:
    async with running(Container(settings=Settings(database={"url": left}))) as container:
        with acting_as(SYSTEM):
            await container.user_service().create({"email": "left@example.com"})
    await sent(left, sql)
    assert restored(databases, left)
    assert await sent(left, "SELECT count(*) FROM users") == 0
    assert await sent(left, "SELECT count(*) FROM audit_entries") == 0
    assert await sent(left, "SELECT to_regclass('notes')::text") is None
    assert await sent(left, "SELECT count(*) FROM alembic_version") == 1


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE users ADD COLUMN further int",
        "ALTER TABLE users ALTER COLUMN email SET DEFAULT ''",
        "ALTER TABLE outbox_messages DISABLE TRIGGER ALL",
        "CREATE INDEX further ON users (id)",
        "CREATE FUNCTION further() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TYPE further AS ENUM ('a')",
        "CREATE SCHEMA further",
        "CREATE SEQUENCE further",
        "GRANT SELECT ON users TO PUBLIC",
        "UPDATE alembic_version SET version_num = '0001'",
        "DROP TABLE idempotency_keys",
        "SELECT lo_create(0)",
        "COMMENT ON TABLE users IS 'further'",
        "CREATE TEXT SEARCH CONFIGURATION further (COPY = simple)",
        SETTING.format("SET default_transaction_read_only = on"),
        SETTING.format("CONNECTION LIMIT 3"),
    ],
)
async def test_what_is_not_the_templates_is_dropped(databases: Databases, left: str, sql: str) -> None:
    await sent(left, sql)
    assert not restored(databases, left)
    assert server.databases_of(name_of(left)) == []


async def test_whoever_is_left_connected_is_ended(databases: Databases, left: str) -> None:
    connection = await asyncpg.connect(left)
    await connection.execute("BEGIN; LOCK TABLE users")
    assert restored(databases, left)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await connection.execute("SELECT 1")
    await connection.close()


async def test_a_template_whose_migrations_store_rows_has_no_fingerprint(databases: Databases, left: str) -> None:
    assert restore.fingerprint(name_of(left))
    async with running(Container(settings=Settings(database={"url": left}))) as container:
        with acting_as(SYSTEM):
            await container.user_service().create({"email": "seed@example.com"})
    assert restore.fingerprint(name_of(left)) == ""
    assert not restore.restore(name_of(left), "")


def test_a_database_that_is_gone_is_not_restored(databases: Databases, left: str) -> None:
    fingerprint = restore.fingerprint(name_of(left))
    server.drop(name_of(left))
    assert not restore.restore(name_of(left), fingerprint)

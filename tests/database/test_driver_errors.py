"""Driver errors: one typed tree, by SQLSTATE or its like, and never a value."""

import asyncio
import sqlite3
from contextlib import closing
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import IntegrityError, StatementError

from containers import Container, running
from settings import Settings
from unitwork.backends.driver_errors import translate
from unitwork.errors import (
    CheckViolation,
    ConnectionLost,
    DatabaseError,
    DeadlockDetected,
    DriverError,
    ForeignKeyViolation,
    LockNotAvailable,
    NoActingUser,
    NotNullViolation,
    SchemaOutdated,
    SerializationFailure,
    StatementOutdated,
    StatementTimeout,
    UniqueViolation,
)
from unitwork.models import SYSTEM, acting_as
from unitwork.testing.servers.databases import Databases

only_postgresql = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
only_sqlite = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


async def run(container: Container, *statements: str) -> None:
    async with container.session_provider()() as session:
        for statement in statements:
            await session.execute(text(statement))


async def test_a_missing_table_or_column_says_how_to_get_it(container: Container) -> None:
    for statement in ("SELECT nonsense FROM users", "SELECT 1 FROM nonsense"):
        with pytest.raises(SchemaOutdated, match=r"nonsense.*alembic upgrade head"):
            await run(container, statement)


async def test_other_errors_keep_the_databases_words(container: Container) -> None:
    with pytest.raises(DriverError, match="syntax error") as raised:
        await run(container, "SELEKT 1")
    assert type(raised.value) is DriverError
    assert raised.value.sqlstate


async def test_an_error_of_ours_while_a_statement_is_prepared_is_not_wrapped(container: Container) -> None:
    with pytest.raises(NoActingUser):
        await container.user_service().create({"email": "ann@example.com"})


@only_postgresql
async def test_postgresql_ends_a_statement_that_runs_too_long(database_url: str) -> None:
    settings = Settings(database={"url": database_url, "statement_timeout": 0.1})
    async with running(Container(settings=settings)) as container:
        with pytest.raises(StatementTimeout) as raised:
            await run(container, "SELECT pg_sleep(5)")
    assert raised.value.sqlstate == "57014"


@only_postgresql
async def test_a_lock_that_is_not_free_is_told(container: Container) -> None:
    with acting_as(SYSTEM):
        await container.user_service().create({"email": "ann@example.com"})
    async with container.engine().begin() as connection:
        await connection.execute(text("SELECT * FROM users FOR UPDATE"))
        with pytest.raises(LockNotAvailable):
            await run(container, "SELECT * FROM users FOR UPDATE NOWAIT")


@only_postgresql
async def test_transactions_that_wait_for_each_other_end_by_one_of_them(container: Container) -> None:
    with acting_as(SYSTEM):
        await container.user_service().create({"email": "a@example.com", "display_name": "a"})
        await container.user_service().create({"email": "b@example.com", "display_name": "b"})
    both = asyncio.Barrier(2)

    async def lock(first: str, second: str) -> None:
        async with container.session_provider()() as session:
            await session.execute(text("SET LOCAL deadlock_timeout = '50ms'"))
            await session.execute(text(f"SELECT * FROM users WHERE display_name = '{first}' FOR UPDATE"))
            await both.wait()
            await session.execute(text(f"SELECT * FROM users WHERE display_name = '{second}' FOR UPDATE"))

    outcomes = await asyncio.gather(lock("a", "b"), lock("b", "a"), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["DeadlockDetected", "NoneType"]
    assert [outcome.sqlstate for outcome in outcomes if isinstance(outcome, DeadlockDetected)] == ["40P01"]


@only_postgresql
async def test_transactions_that_can_not_be_ordered_are_told(container: Container) -> None:
    with acting_as(SYSTEM):
        await container.user_service().create({"email": "a@example.com"})
    engine = container.engine().execution_options(isolation_level="REPEATABLE READ")
    async with engine.connect() as connection:
        await connection.execute(text("SELECT * FROM users"))
        await run(container, "UPDATE users SET display_name = 'first'")
        with pytest.raises(SerializationFailure):
            await connection.execute(text("UPDATE users SET display_name = 'second'"))


@only_postgresql
async def test_a_connection_killed_at_work_is_lost(container: Container) -> None:
    with pytest.raises(ConnectionLost):
        await run(container, "SELECT pg_terminate_backend(pg_backend_pid())", "SELECT 1")
    await run(container, "SELECT 1")


@only_sqlite
async def test_sqlites_one_writer_is_waited_for_and_then_told(database_url: str) -> None:
    settings = Settings(database={"url": database_url, "statement_timeout": 0.1})
    async with running(Container(settings=settings)) as container, container.engine().begin():
        with pytest.raises(LockNotAvailable) as raised:
            await run(container, "DELETE FROM users")
    assert raised.value.sqlstate == "SQLITE_BUSY"


async def test_nothing_is_stored_in_an_unmigrated_database_and_the_error_says_why(
    databases: Databases, backend: str
) -> None:
    url = await asyncio.to_thread(databases.create, backend, migrated=False)
    try:
        async with running(Container(settings=Settings(database={"url": url}))) as container:
            with pytest.raises(SchemaOutdated, match="alembic upgrade head"):
                await container.user_dao().get(1)
    finally:
        await asyncio.to_thread(databases.drop, url)


@only_sqlite
async def test_sqlite_prepares_anew_by_itself_what_a_migration_has_outdated(container: Container) -> None:
    changes = (
        "ALTER TABLE users ADD COLUMN other TEXT",
        "ALTER TABLE users DROP COLUMN other",
        "ALTER TABLE users RENAME TO older; CREATE TABLE users AS SELECT * FROM older; DROP TABLE older",
    )
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "ann@example.com"})
    with closing(sqlite3.connect(str(container.engine().url.database))) as elsewhere:
        for change in changes:
            for _ in range(2):
                assert (await container.user_dao().get(user.id)).email == "ann@example.com"
                await run(container, "SELECT * FROM users", "UPDATE users SET email = email")
            elsewhere.executescript(change)
    assert (await container.user_dao().get(user.id)).email == "ann@example.com"


class Refused(Exception):
    """As MySQL's drivers raise it: the number, and words that quote the row."""


def translated(original: Exception, *, prepared: bool = True, lost: bool = False) -> Any:
    """What the listener makes of it; `prepared`: the statement had reached the driver."""
    raised = IntegrityError("", None, original) if prepared else StatementError("", "", None, original)
    context = SimpleNamespace(original_exception=original, sqlalchemy_exception=raised, is_disconnect=lost)
    return translate(cast("ExceptionContext", context))


@pytest.mark.parametrize(
    ("number", "words", "error", "constraint"),
    [
        (1062, "Duplicate entry 'canary-7Q' for key 'users.uq_users_email_key'", UniqueViolation, "uq_users_email_key"),
        (1062, "Duplicate entry 'canary-7Q' for key 'uq_users_email_key'", UniqueViolation, "uq_users_email_key"),
        (
            1452,
            "… fails (`x`.`tokens`, CONSTRAINT `fk_tokens_user_id` FOREIGN KEY …",
            ForeignKeyViolation,
            "fk_tokens_user_id",
        ),
        (4025, "CONSTRAINT `ck_users_contact` failed for `x`.`users`", CheckViolation, "ck_users_contact"),
        (1048, "Column 'email' cannot be null", NotNullViolation, None),
        (1213, "Deadlock found, canary-7Q", DeadlockDetected, None),
        (1205, "Lock wait timeout, canary-7Q", LockNotAvailable, None),
        (3024, "interrupted, canary-7Q", StatementTimeout, None),
        (1146, "Table 'x.users' doesn't exist", SchemaOutdated, None),
        (1412, "Table definition has changed, canary-7Q", StatementOutdated, None),
        (1615, "Prepared statement needs to be re-prepared, canary-7Q", StatementOutdated, None),
        (9999, "canary-7Q", DriverError, None),
    ],
)
def test_mysqls_numbers_have_their_errors(number: int, words: str, error: type[DriverError], constraint: str) -> None:
    original = Refused(number, words)
    found = translated(original)
    assert type(found) is error
    assert getattr(found, "constraint", None) == constraint
    assert found.sqlstate == str(number)
    assert "canary-7Q" not in str(found) + repr(found) + repr(original)


def test_a_broken_connection_is_lost_whatever_its_code() -> None:
    assert type(translated(Refused(1062, "x"), lost=True)) is ConnectionLost


def test_an_error_of_ours_stays_what_it_is() -> None:
    ours = DatabaseError()
    assert translated(ours) is ours, "SQLAlchemy would raise it wrapped"
    original = NoActingUser()
    assert translated(original, prepared=False) is original

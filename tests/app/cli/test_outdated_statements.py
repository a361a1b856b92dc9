"""A migration while a command runs: it goes on, or says in one line that nothing was stored."""

import asyncio
import itertools
import json
import time
from collections.abc import Callable
from typing import Any, Final

import asyncpg
import pytest

from containers import Container, running
from settings import Settings
from tests.app.cli.conftest import Gatehouse
from tests.app.cli.test_processes import process
from tests.fakes import FailingUsers
from tests.services.messages import welcomed
from unitwork.errors import StatementOutdated, TransactionRolledBack

pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)

CHANGES: Final = {
    "type": "ALTER TABLE users ALTER COLUMN display_name TYPE varchar(700), ALTER COLUMN version TYPE bigint",
    "columns": "ALTER TABLE users ADD COLUMN other varchar(200); UPDATE users SET other = display_name;"
    "ALTER TABLE users DROP COLUMN display_name; ALTER TABLE users RENAME COLUMN other TO display_name",
}
change = pytest.mark.parametrize("change", CHANGES)
BATCH: Final = 500


def asked(database_url: str, statement: str) -> Any:
    """Of the database, by somebody else."""

    async def ask() -> Any:
        connection = await asyncpg.connect(database_url)
        try:
            send = connection.fetchval if statement.startswith("SELECT") else connection.execute
            return await send(statement)
        finally:
            await connection.close()

    return asyncio.run(ask())


def until(condition: Callable[[], bool], within: float = 40) -> None:
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@change
def test_an_import_goes_on_behind_the_migration(
    gatehouse: Gatehouse, database_url: str, change: str, tmp_path: Any
) -> None:
    assert gatehouse("db", "upgrade").code == 0
    with process(
        "users", "import", "-", "--json", DATABASE_URL=database_url, GATEHOUSE_VAR_DIR=str(tmp_path), LOG_LEVEL="INFO"
    ) as command:
        assert command.stdin is not None
        command.stdin.write("email,display_name\n")
        # The first batch's statements are SQLAlchemy's, later ones the driver's, which has prepared its own.
        for batch, ending in itertools.zip_longest(range(5), (None, None, CHANGES[change])):
            for row in range(BATCH):
                command.stdin.write(f"{batch}.{row}@example.com,Name {row}\n")
            command.stdin.flush()
            if batch < 4:
                until(lambda batch=batch: asked(database_url, "SELECT count(*) FROM users") >= BATCH * batch)  # type: ignore[misc]  # mypy takes no default of a lambda
            if ending:
                asked(database_url, ending)
        out, err = command.communicate(timeout=60)
    assert command.returncode == 0, err
    assert json.loads(out)["imported"] == 5 * BATCH
    assert ("import users failed with StatementOutdated in attempt 1 of 3" in err) is (change == "type")
    assert asked(database_url, "SELECT count(DISTINCT display_name) FROM users") == BATCH


@change
def test_an_export_goes_on_behind_the_migration(
    gatehouse: Gatehouse, database_url: str, change: str, tmp_path: Any
) -> None:
    assert gatehouse("db", "upgrade").code == 0
    rows = "".join(f"{row}@example.com,Name {row}\n" for row in range(12 * BATCH))
    file = tmp_path / "users.csv"
    file.write_text(f"email,display_name\n{rows}")
    assert gatehouse("users", "import", str(file)).code == 0
    with process("users", "export", DATABASE_URL=database_url, GATEHOUSE_VAR_DIR=str(tmp_path)) as command:
        assert command.stdout is not None
        lines = [command.stdout.readline() for _ in range(3)]  # what follows waits for the pipe to be read
        asked(database_url, CHANGES[change])
        lines += command.stdout.readlines()
        _, err = command.communicate(timeout=60)
    assert command.returncode == 0, err
    names = [line for line in lines if "@example.com" in line]
    assert len(names) == len(set(names)) == 12 * BATCH


def test_a_relay_goes_on(gatehouse: Gatehouse, settings: Settings, database_url: str, tmp_path: Any) -> None:
    assert gatehouse("db", "upgrade").code == 0
    longer = "ALTER TABLE outbox_messages ALTER COLUMN topic TYPE varchar({})"

    def one_is_published(number: int) -> None:
        async def store() -> None:
            async with running(Container(settings=settings)) as container:
                await welcomed(container, f"{number}@example.com")

        asyncio.run(store())
        until(lambda: asked(database_url, "SELECT count(*) FROM outbox_messages WHERE published_at IS NULL") == 0)

    with process("outbox", "relay", DATABASE_URL=database_url, GATEHOUSE_VAR_DIR=str(tmp_path)) as relay:
        for number in range(4):
            one_is_published(number)
            asked(database_url, longer.format(600 + number))
        relay.terminate()
        _, err = relay.communicate(timeout=60)
    assert relay.returncode == 0, err
    assert "Traceback" not in err
    assert "StatementOutdated" in err or "messages wait" in err


@pytest.mark.parametrize("rolled_back", [False, True])
def test_what_cannot_go_again_says_so_in_one_line(
    gatehouse: Gatehouse, settings: Settings, *, rolled_back: bool
) -> None:
    assert gatehouse("db", "upgrade").code == 0
    error: Exception = StatementOutdated("the schema was changed under a prepared statement", sqlstate="0A000")
    if rolled_back:
        cause, error = error, TransactionRolledBack()
        error.__cause__ = cause
    container = Container(settings=settings)
    container.user_dao.override(FailingUsers(error))
    done = gatehouse("users", "create", "--email", "a@example.com", container=container)
    done.assert_error(1, "Try the whole unit again" if not rolled_back else "nothing was stored")

"""`gatehouse tokens`, `db`, `demo`, `config`, and errors that every command shares."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import make_url, text

from app.cli import main
from app.cli.menu import ENTRIES
from containers import Container, running
from settings import Settings
from tests.app.cli.conftest import Gatehouse
from tests.conftest import ROOT
from tests.fakes import FailingUsers
from unitwork.testing.servers.postgresql import apart

UNREACHABLE = "postgresql://someone:canary@127.0.0.1:1/none"


def test_a_token_is_printed_once_and_revoked_by_stdin(gatehouse: Gatehouse) -> None:
    gatehouse("users", "create", "--email", "ada@example.com")
    issued = gatehouse("tokens", "issue", "ada@example.com")
    assert re.fullmatch(r"gh_[\w-]{43}\n", issued.out)
    assert issued.out.strip() not in issued.err

    again = gatehouse("tokens", "issue", "ada@example.com", "--hours", "1.5", "--json").json()
    assert set(again) == {"access_token", "token_type", "expires_at"}
    left = datetime.fromisoformat(again["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=89) < left <= timedelta(minutes=90)

    revoked = gatehouse("tokens", "revoke", stdin=issued.out)
    assert (revoked.code, revoked.out) == (0, "")
    gatehouse("tokens", "revoke", stdin=issued.out).assert_error(1, "no such token, or it was revoked before")
    gatehouse("tokens", "revoke", stdin="").assert_error(1, "no such token")
    third = gatehouse("tokens", "issue", "ada@example.com").out
    assert gatehouse("tokens", "revoke", "--json", stdin=third).json() == {"revoked": True}
    gatehouse("tokens", "revoke", issued.out.strip()).assert_error(2, "unexpected extra argument")


def test_a_token_needs_an_account_and_a_sensible_lifetime(gatehouse: Gatehouse) -> None:
    gatehouse("users", "create", "--email", "ada@example.com")
    gatehouse("tokens", "issue", "nobody@example.com").assert_error(1, "no account has")
    for hours in ("0", "-1", "nan", "inf", "1e12", "soon"):
        gatehouse("tokens", "issue", "ada@example.com", "--hours", hours).assert_error(2, "--hours")


def test_db_upgrade_brings_an_empty_database_to_the_newest(
    shell: Gatehouse, unmigrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", unmigrated_url)
    empty = shell("db", "check", "--json")
    assert empty.code == 4
    assert json.loads(empty.out)["healthy"] is False
    assert "run: gatehouse db upgrade" in shell("db", "check").err
    shell("users", "list").assert_error(1, "gatehouse db upgrade")

    upgraded = shell("db", "upgrade")
    assert (upgraded.code, upgraded.out) == (0, "")
    head = json.loads(empty.out)["head"]
    assert f"schema: empty → {head}" in upgraded.err
    assert shell("db", "upgrade").code == 0
    healthy = shell("db", "check", "--json").json()
    assert healthy == {"current": healthy["head"], "head": healthy["head"], "differences": [], "healthy": True}


HELP = """
import sys
from app.cli import main
main(["--help"])
print([name for name in ("sqlalchemy", "fastapi", "pydantic", "asyncio") if name in sys.modules])
"""


def test_db_downgrade_goes_back_and_upgrade_comes_again(gatehouse: Gatehouse) -> None:
    head = gatehouse("db", "check", "--json").json()["head"]
    back = gatehouse("db", "downgrade", "base", "--json").json()
    assert back == {"before": head, "current": None}
    assert gatehouse("db", "check").code == 4
    assert gatehouse("db", "upgrade", "--json").json() == {"before": None, "current": head}
    gatehouse("db", "downgrade", "nonsense").assert_error(1, "nonsense")


def test_help_imports_no_command_and_completion_knows_them_all() -> None:
    """What people wait for: `--help`, and each TAB."""
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"
    for name in ENTRIES:
        assert f"  {name} " in done.stdout
    typed = {"_GATEHOUSE_COMPLETE": "complete_bash", "COMP_WORDS": "gatehouse users im", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-m", "app"], capture_output=True, text=True, cwd=ROOT, env={**os.environ, **typed}, check=True
    )
    assert done.stdout.split() == ["import"]


def test_the_menu_says_what_each_command_says_of_itself(shell: Gatehouse) -> None:
    for name, entry in ENTRIES.items():
        done = shell(name, "--help")
        assert (done.code, done.err) == (0, ""), name
        assert entry.help in " ".join(done.out.split()), name


def test_db_check_tells_where_database_and_models_differ(gatehouse: Gatehouse, database_url: str, backend: str) -> None:
    assert gatehouse("db", "check").code == 0
    if backend == "sqlite":
        with sqlite3.connect(database_url.removeprefix("sqlite:///")) as connection:
            connection.execute("ALTER TABLE users ADD COLUMN nickname TEXT")
        connection.close()
        done = gatehouse("db", "check", "--json")
        assert done.code == 4
        assert "nickname" in str(json.loads(done.out)["differences"])


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_db_upgrade_prints_sql_without_a_server_that_makes_the_same_schema(
    shell: Gatehouse, unmigrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE)
    monkeypatch.setenv("GATEHOUSE_DATABASE__VERSION_TABLE", "gatehouse_version")
    done = shell("db", "upgrade", "--sql")
    assert (done.code, done.err) == (0, "")
    shell("db", "upgrade", "--sql", "--since", "0005").assert_error(1, "migration '0008' reads rows")
    for wrong in (("nonsense", "--sql"), ("--sql", "--since", "nonsense")):
        shell("db", "upgrade", *wrong).assert_error(1, "nonsense")
    assert "CREATE TABLE users" not in shell("db", "upgrade", "--sql", "--since", "0008").out

    async def send() -> None:
        connection = await asyncpg.connect(
            make_url(unmigrated_url).set(drivername="postgresql").render_as_string(False)
        )
        try:
            await connection.execute(done.out)
        finally:
            await connection.close()

    apart(send)
    monkeypatch.setenv("DATABASE_URL", unmigrated_url)
    assert shell("db", "check").code == 0
    assert shell("db", "upgrade").code == 0


def test_the_version_table_has_a_name_of_its_own(
    shell: Gatehouse, unmigrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", unmigrated_url)
    monkeypatch.setenv("GATEHOUSE_DATABASE__VERSION_TABLE", "gatehouse_version")
    for command in (("upgrade",), ("check",), ("downgrade", "base"), ("upgrade",)):
        assert shell("db", *command).code == 0
    assert shell("doctor", "--json").json()["healthy"] is True
    monkeypatch.setenv("GATEHOUSE_DATABASE__VERSION_TABLE", "no table; --")
    shell("db", "check").assert_error(1, "VERSION_TABLE")


def test_db_lint_finds_our_own_migrations_safe(shell: Gatehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE)
    assert shell("db", "lint", "--json").json() == {"hazards": []}
    assert shell("db", "lint", "--since", "0008").code == 0
    shell("db", "lint", "--since", "nonsense").assert_error(1, "nonsense")


def test_a_newer_schema_that_this_release_works_with_is_well(gatehouse: Gatehouse, database_url: str) -> None:
    """An older release that is started again while a newer one is rolled out."""
    _set_revision(database_url, "0042", "0009")
    assert "which works with it" in gatehouse("db", "check").err
    assert gatehouse("db", "check", "--json").json()["healthy"] is True
    assert gatehouse("db", "upgrade", "--json").json() == {"before": "0042", "current": "0042"}
    migrations = {line["subject"]: line for line in gatehouse("doctor", "--json").json()["findings"]}["migrations"]
    assert migrations["verdict"] == "ok"

    _set_revision(database_url, "0043", "0043")
    checked = gatehouse("db", "check")
    assert (checked.code, checked.out) == (4, "")
    assert "install the newer" in checked.err
    gatehouse("db", "upgrade").assert_error(1, "0043")
    assert gatehouse("doctor").code == 4


def _set_revision(url: str, revision: str, compatible_from: str) -> None:
    async def store() -> None:
        settings = Settings(database={"url": url})
        async with running(Container(settings=settings)) as container, container.transaction()() as tx:
            await tx.session.execute(
                text("UPDATE alembic_version SET version_num = :revision, compatible_from = :compatible_from"),
                {"revision": revision, "compatible_from": compatible_from},
            )

    apart(store)


def test_demo_seed_twice_seeds_once(gatehouse: Gatehouse) -> None:
    assert "created: 11" in gatehouse("demo", "seed").err
    assert gatehouse("demo", "seed", "--json").json() == {"created": 0}
    again = gatehouse("demo", "seed")
    assert (again.code, again.out) == (0, "")
    assert "created: 0" in again.err
    assert len(gatehouse("users", "list", "--json").json()["items"]) == 11


def test_config_show_masks_every_secret(shell: Gatehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada:canary-one@db.example.com/app?password=canary-two")
    monkeypatch.setenv("GATEHOUSE_DATABASE__PASSWORD", "canary-three")
    monkeypatch.setenv("GATEHOUSE_SECRET_KEY", "canary-four" * 4)
    for arguments in (["config", "show"], ["config", "show", "--json"]):
        done = shell(*arguments)
        assert done.code == 0
        assert "canary" not in done.out + done.err
        assert "db.example.com" in done.out
        assert "***" in done.out
    values = shell("config", "show", "--json").json()
    assert set(values) >= {"environment", "database", "tokens", "port"}
    assert "GATEHOUSE_DATABASE__POOL_SIZE\t5" in shell("config", "show").out


@pytest.mark.parametrize(
    "arguments",
    [["users", "list"], ["users", "show", "1"], ["users", "create", "--email", "a@example.com"], ["users", "export"],
     ["tokens", "issue", "1"], ["tokens", "revoke"], ["db", "upgrade"], ["db", "check"], ["demo", "seed"],
     ["demo", "run", "--check"]],
)  # fmt: skip
def test_an_unreachable_database_is_one_line(
    shell: Gatehouse, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE)
    done = shell(*arguments, stdin="gh_x\n")
    assert done.code == 1
    assert done.err.startswith("error: the database at 127.0.0.1:1/none can't be reached: ")
    assert done.err.count("\n") == 1
    assert "canary" not in done.err


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("foo://x:canary@h/d", "unknown database 'foo'; use one of: postgresql"),
        ("canary", "not a database URL"),
        ("sqlite:///:memory:", "in-memory SQLite"),
        ("oracle://x:canary@h/d", "pip install 'unitwork[oracle]'"),
    ],
)
@pytest.mark.parametrize("command", [["users", "list"], ["serve"], ["db", "check"]])
def test_a_database_that_cannot_be_used_is_one_line(
    shell: Gatehouse, url: str, words: str, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    done = shell(*command)
    done.assert_error(1, words)
    assert "canary" not in done.err


def test_a_thread_that_fails_after_a_command_prints_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """One that was given up, and reports to a loop that is closed."""

    def report() -> None:
        msg = "Event loop is closed"
        raise RuntimeError(msg)

    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    assert main(["--help"]) == 0
    with caplog.at_level("DEBUG", logger="gatehouse.cli"):
        thread = threading.Thread(target=report)
        thread.start()
        thread.join()
    assert "Traceback" not in capfd.readouterr().err
    assert "a thread ended with RuntimeError" in caplog.text


def test_usage_is_exit_code_2_and_help_is_0(shell: Gatehouse) -> None:
    assert shell("--help").code == 0
    assert "Accounts." in shell("users", "--help").out
    for arguments in (["--nonsense"], ["nonsense"], ["users", "list", "extra"], ["serve", "--port", "65536"]):
        shell(*arguments).assert_error(2, "Error")


def test_an_unexpected_error_is_one_line_and_tells_how_to_see_more(
    shell: Gatehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Container:
        container = Container(settings=Settings(database={"url": UNREACHABLE}))
        container.user_dao.override(FailingUsers(RuntimeError("canary")))
        return container

    done = shell("users", "show", "1", container=broken())
    done.assert_error(1, "unexpected RuntimeError; set GATEHOUSE_DEBUG=1")
    assert "canary" not in done.err
    monkeypatch.setenv("GATEHOUSE_DEBUG", "1")
    with pytest.raises(RuntimeError, match="canary"):
        main(["users", "show", "1"], container=broken())


def test_logs_never_reach_stdout(gatehouse: Gatehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("GATEHOUSE_LOG_FORMAT", "json")
    assert gatehouse("users", "list", "--json").json()["items"] == []


def test_importing_the_commands_reads_and_writes_nothing(tmp_path: Path) -> None:
    assert main(["--help"]) == 0
    assert list(tmp_path.iterdir()) == []

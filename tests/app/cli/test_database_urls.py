"""DATABASE_URL as people are given it: what each command says of it, and that none says a password."""

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.app.cli.conftest import Gatehouse

COMMANDS = (("config", "show"), ("config", "show", "--sources"), ("doctor",), ("doctor", "--json"), ("db", "check"))
SERVER = "postgresql://ann:zyxcanary@127.0.0.1:1"


@pytest.fixture
def said(shell: Gatehouse, monkeypatch: pytest.MonkeyPatch) -> "Said":
    return Said(shell, monkeypatch)


class Said:
    """Everything that commands print for a DATABASE_URL."""

    def __init__(self, shell: Gatehouse, monkeypatch: pytest.MonkeyPatch) -> None:
        self._shell = shell
        self._monkeypatch = monkeypatch

    def __call__(self, url: str, *commands: tuple[str, ...]) -> str:
        self._monkeypatch.setenv("DATABASE_URL", url)
        done = [self._shell(*command) for command in commands or COMMANDS]
        text = "".join(one.out + one.err for one in done)
        assert "Traceback" not in text
        assert "zyxcanary" not in text
        return text


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("?sslmode=require&channel_binding=require", "?ssl=require"),
        ("?channel_binding=require", "?ssl=require"),
        ("?connect_timeout=5&application_name=shop", "?application_name=shop&connect_timeout=5"),
        ("?options=-csearch_path%3Dapp", "?options=***"),
        ("?ssl=true", "?ssl=require"),
        ("?sslmode=require&sslpassword=zyxcanary", "sslpassword=***"),
    ],
)
def test_a_parameter_that_is_taken_is_shown_as_it_is_in_force(said: Said, query: str, shown: str) -> None:
    text = said(f"{SERVER}/db{query}", ("config", "show"))
    assert shown in text
    assert "ann:***@127.0.0.1:1/db" in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"{SERVER}/db/", "ann:***@127.0.0.1:1/db\n"),
        (f"{SERVER}/db/?sslmode=require", "ann:***@127.0.0.1:1/db?ssl=require"),
        ("postgresql://ann:zyxcanary@h:/db", "ann:***@h/db\n"),
        ("postgresql://ann:zyxcanary@[::1]:/db", "ann:***@[::1]/db\n"),
        ("postgis://ann:zyxcanary@h/db", "postgresql+asyncpg://ann:***@h/db\n"),
        ("mysql2://ann:zyxcanary@h/db", "mysql+asyncmy://ann:***@h/db"),
        ("trilogy://ann:zyxcanary@h/db", "mysql+asyncmy://ann:***@h/db"),
        ("postgresql://ann:%24%7Bzyxcanary%7D@h/db", "ann:***@h/db\n"),
        ("postgresql://ann:[zyxcanary]$x@h/db", "ann:***@h/db\n"),
        ("postgresql://ann:a${zyxcanary}@h/db", "ann:***@h/db\n"),
        ("file:app.db", "sqlite+aiosqlite:///app.db"),
    ],
)
def test_what_says_nothing_or_the_same_in_other_words_is_taken(said: Said, url: str, shown: str) -> None:
    assert shown in said(url, ("config", "show"))


def test_several_hosts_are_taken_in_libpqs_spelling(said: Said) -> None:
    url = "postgresql://ann:zyxcanary@127.0.0.1:1,127.0.0.2:1/db?target_session_attrs=read-write"
    text = said(url, ("config", "show"), ("db", "check"))
    assert "host=127.0.0.1%2C127.0.0.2&port=1%2C1&target_session_attrs=read-write" in text
    assert "the database at 127.0.0.1:1,127.0.0.2:1/db can't be reached: 127.0.0.1:1: connection refused" in text
    assert "; 127.0.0.2:1: connection refused" in text


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"{SERVER}/db?pgbouncer=true", "GATEHOUSE_DATABASE__POOLER=pgbouncer"),
        (f"{SERVER}/db?colour=blue", "the parameter 'colour' of the URL is unknown"),
        (f"{SERVER}/db?sslmod=require", "did you mean 'sslmode'?"),
        (f"{SERVER}/db?keepalives=1", "the parameter 'keepalives' of the URL can't be taken: the driver (asyncpg)"),
        (f"{SERVER}/db?sslmode=zyxcanary", "use sslmode with one of: disable, allow"),
        ("postgresql://ann:p@zyxcanary@h.example/db", "percent-encoded"),
        ("postgresql://ann:100%zyxcanary@h.example/db", "percent-encoded"),
        ("mysql://ann:zyxcanary@127.0.0.1:1/db?ssl-mode=PREFERRED", "write ssl-mode=REQUIRED"),
        ("mysql://ann:zyxcanary@h1,h2/db", "several hosts are PostgreSQL's"),
        (f"{SERVER}/db?password=a&zyxcanary=b", "the parameter number 1 of the URL is unknown"),
        ("foo://ann:zyxcanary@h/db", "unknown database 'foo'"),
        ("host=127.0.0.1 port=1 dbname=db user=ann password=zyxcanary", "a connection string of names and values"),
        (
            "Host=h;Database=db;Username=ann;Password=zyxcanary;SSL Mode=Require",
            "connection string of names and values",
        ),
        ("Server=tcp:h,1433;User ID=ann;Password=zyxcanary", "connection string of names and values"),
        ("Database=db;Data Source=h:1;User Id=ann;Password=zyxcanary", "connection string of names and values"),
        ("postgresql://ann:${POSTGRES_PASSWORD}@h/db", "a placeholder in it has nothing put in its place"),
        ("postgresql://${DB_USER}:${DB_PASSWORD}@${DB_HOST}:5432/db", "a placeholder in it"),
        ("postgresql://postgres:[YOUR-PASSWORD]@h:5432/postgres", "a placeholder in it"),
        ("postgresql://ann:<password>@h/db", "a placeholder in it"),
        ("postgresql://{{user}}:{{password}}@h/db", "a placeholder in it"),
        ("$DATABASE_URL", "a placeholder in it"),
        ("%DATABASE_URL%", "a placeholder in it"),
        ("app.db", "a path, not a database URL; write sqlite:///relative/file.db"),
        ("/srv/gatehouse/x.sqlite3", "a path, not a database URL"),
        ("postgresql://ann:zyxcanary@h:54321111/db", "the port is no number from 1 to 65535"),
        ("postgresql://ann:zyxcanary@h:99999/db", "the port is no number from 1 to 65535"),
        ("postgresql://ann:zyxcanary@h:port/db", "the port is no number from 1 to 65535"),
        ("postgresql://ann:zyxcanary@::1:5432/db", "an IPv6 address stands in brackets"),
        ("''", "not a database URL"),
    ],
)
def test_what_can_not_be_taken_is_refused_by_name(said: Said, url: str, words: str) -> None:
    text = said(url)
    assert text.count(words) >= len(COMMANDS) - 1, text


def test_a_hint_says_what_works_of_the_username(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    hint = "GATEHOUSE_DATABASE__USERNAME and GATEHOUSE_DATABASE__PASSWORD"
    assert hint in said("postgresql://a:p@ss@h.example/db", ("config", "show"))
    monkeypatch.setenv("GATEHOUSE_DATABASE__USERNAME", "o'b@r")
    monkeypatch.setenv("GATEHOUSE_DATABASE__PASSWORD", "p@zyxcanary/%")
    assert "postgresql+asyncpg://o%27b%40r:***@h.example/db" in said("postgresql://h.example/db", ("config", "show"))


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_failed_connection_has_its_reason_in_words(said: Said, scheme: str) -> None:
    unknown = said(f"{scheme}://ann:zyxcanary@no-such-host.invalid/db", ("db", "check"), ("doctor",))
    assert ("no host of that name is known" in unknown) or ("can't be looked up" in unknown)
    assert "errno" not in unknown.lower()
    refused = said(f"{scheme}://ann:zyxcanary@127.0.0.1:1/db", ("db", "check"), ("doctor",))
    assert refused.count("connection refused, as nothing listens there") == 2
    assert "2003" not in refused


@pytest.mark.parametrize(
    "url",
    [
        "canary",
        "postgresql://u:p@127.0.0.1:1/db",
        "postgresql://u:p@h/db?colour=blue",
        "sqlite:////nowhere/at/all.db",
        "oracle://u:p@127.0.0.1/db",
    ],
)
def test_the_doctor_tells_its_other_findings_whatever_is_wrong_with_the_database(said: Said, url: str) -> None:
    text = said(url, ("doctor",))
    subjects = {line.partition("\t")[0] for line in text.splitlines()}
    assert {"python", "variables", "database", "broker", "secrets"} <= subjects


def test_the_doctor_looks_at_the_database_whatever_else_can_not_be_used(
    gatehouse: Gatehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEHOUSE_PORT", "many")
    monkeypatch.setenv("GATEHOUSE_DATABASE__POOL_SIZ", "5")
    done = gatehouse("doctor")
    assert done.code == 4
    assert "settings\tfault\tGATEHOUSE_PORT" in done.out
    assert "\nmigrations\tok\t" in done.out


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("command", [("users", "list"), ("db", "check"), ("doctor",), ("outbox", "list")])
def test_a_command_that_reads_makes_no_database(
    said: Said, command: tuple[str, ...], tmp_path: Path, backend: str
) -> None:
    path = tmp_path / "new" / "x.db"
    assert f"there is no database file {path}" in said(f"sqlite:///{path}", command)
    assert not path.parent.exists()


MARKS = st.text("@:/?#%[]&=+ \\'\"é日1", max_size=4)
BROKEN = (
    "postgresql://ann:{}@127.0.0.1:1/db",
    "postgres:ann:{}@127.0.0.1:1/db",
    "postgresql:/ann:{}@127.0.0.1:1/db",
    "ann:{}@127.0.0.1:1/db",
    "{}",
    "postgresql://ann:{}@127.0.0.1:port/db",
    "postgresql://ann:{}127.0.0.1/db",
    "postgresql://ann:{}@127.0.0.1:1/db?colour=blue",
    "postgresql://ann:{}@127.0.0.1:1/db?sslmode=wrong",
    "postgresql://ann:{}@127.0.0.1:1/db#fragment",
    "postgresql://ann:{}@127.0.0.1:1/db?password={}",
    "jdbc:postgresql://127.0.0.1:1/db?user=ann&password={}",
    "export DATABASE_URL='postgresql://ann:{}@127.0.0.1:1/db'\n",
    '"postgresql://ann:{}@127.0.0.1:1/db',
    "mysql://ann:{}@127.0.0.1:1/db?ssl-ca=/no/file",
    "mysql://ann:{}@127.0.0.1:1,127.0.0.2/db",
    "foo://ann:{}@127.0.0.1:1/db",
    "sqlite://ann:{}@127.0.0.1/x.db",
    "postgresql://ann:{}@127.0.0.1:1\n/db",
    "redis://:{}@127.0.0.1:1/0",
)
"""A URL broken in a way of its own, and some that are whole. After the password comes what follows it, or nothing."""


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(template=st.sampled_from(BROKEN), marks=st.tuples(MARKS, MARKS, MARKS))
@example(template=BROKEN[0], marks=("@", "@", ""))
@example(template=BROKEN[6], marks=("1/", "?", "="))
@example(template=BROKEN[6], marks=("1?", "=", ""))
@example(template=BROKEN[11], marks=("", "&", "="))
@example(template=BROKEN[11], marks=("", "#", "&"))
def test_no_part_of_a_password_is_in_any_output(said: Said, template: str, marks: tuple[str, str, str]) -> None:
    password = "".join(itertools.chain(*zip(marks, ("zyxcanary", "wvucanary", "1"), strict=True)))
    text = said(template.replace("{}", password), ("config", "show"), ("doctor", "--json"), ("db", "check"))
    assert "wvucanary" not in text

"""Every line of `tests/data/urls.json`, through the commands that people try a DATABASE_URL with."""

import asyncio
import os
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest

from tests.app.cli.conftest import Done, Gatehouse
from tests.cases import URLS
from tests.faults.pgbouncer import PROGRAM, pgbouncer
from tests.faults.tls_postgresql import PASSWORD, AskingPostgresql, TlsPostgresql
from unitwork.testing.servers import mariadb_server
from unitwork.testing.servers.databases import Databases
from unitwork.urls.database_url import async_url

COMMANDS: Final = (("config", "show"), ("doctor",), ("doctor", "--json"), ("db", "check"))
ENCODED: Final = quote(PASSWORD)


@dataclass(frozen=True)
class Tried:
    """Commands with a DATABASE_URL in force."""

    request: pytest.FixtureRequest
    shell: Gatehouse
    monkeypatch: pytest.MonkeyPatch
    folder: Path

    @property
    def tls(self) -> TlsPostgresql:
        server: TlsPostgresql = self.request.getfixturevalue("tls_server")
        return server

    @property
    def asking(self) -> AskingPostgresql:
        server: AskingPostgresql = self.request.getfixturevalue("asking_server")
        return server

    @property
    def certificates(self) -> Path:
        folder: Path = self.request.getfixturevalue("certificates")
        return folder

    def run(self, url: str, *arguments: str) -> Done:
        self.monkeypatch.setenv("DATABASE_URL", url)
        return self.shell(*arguments)

    def shown(self, url: str) -> str:
        """What `config show` says of it."""
        done = self.run(url, "config", "show")
        assert done.code == 0, done.err
        return done.out

    def connects(self, url: str) -> None:
        """Both commands get their answers from the server, which has no schema."""
        assert "gatehouse db upgrade" in self.run(url, "db", "check").err
        assert "database\tok\tpostgresql" in self.run(url, "doctor").out.lower()

    def refused(self, url: str, *words: str) -> None:
        """Every command names the fact and the fix, without a number of a driver's, and without a secret."""
        for command in COMMANDS:
            done = self.run(url, *command)
            told = done.out + done.err
            for word in words:
                assert word in told, (command, told)
            assert done.code == (4 if command[0] == "doctor" else 1), (command, told)
            for secret in (PASSWORD, ENCODED, "ss-w0rd", ":wrong"):
                assert secret not in told
            assert "Traceback" not in told

    def fails(self, url: str, *words: str) -> None:
        """The settings can be used; the server can't, and the commands that ask it say why."""
        for command in COMMANDS[1:]:
            done = self.run(url, *command)
            told = done.out + done.err
            for word in words:
                assert word in told, (command, told)
            assert done.code == (4 if command[0] == "doctor" else 1), (command, told)
            for secret in (PASSWORD, ENCODED, "wrong", "errno", "1045", "error -2", "Traceback"):
                assert secret not in told.lower(), told
        assert self.run(url, "config", "show").code == 0


Line = Callable[[Tried, str], None]
LINES: Final[dict[str, Line]] = {}


def line(url: str) -> Callable[[Line], Line]:
    def register(function: Line) -> Line:
        assert url not in LINES
        LINES[url] = function
        return function

    return register


def at(server: AskingPostgresql, url: str, database: str = "postgres") -> str:
    """The URL of a line, for a server that is there."""
    return url.replace("u:p@h.example/db", f"ann:{ENCODED}@127.0.0.1:{server.port}/{database}")


@line("postgresql://u:p@h.example/db?sslmode=require&channel_binding=require")
def channel_binding(tried: Tried, url: str) -> None:
    assert "?ssl=require" in tried.shown(url)
    tried.connects(at(tried.tls, url))
    tried.fails(at(tried.asking, url), "the server has no TLS")


@line("postgresql://u:p@h.example/db?connect_timeout=5&application_name=shop")
def timeout_and_name(tried: Tried, url: str) -> None:
    assert "?application_name=shop&connect_timeout=5" in tried.shown(url)
    tried.connects(at(tried.asking, url))
    assert "\nshop|" in tried.asking.log()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        begun = time.monotonic()
        brief = url.replace("connect_timeout=5", "connect_timeout=1").replace("h.example", f"127.0.0.1:{port}")
        assert "no answer in time" in tried.run(brief, "db", "check").err
        assert time.monotonic() - begun < 4


@line("postgresql://u:p@h.example/db?options=-csearch_path%3Dapp")
def options(tried: Tried, url: str) -> None:
    server = tried.asking
    assert "?options=***" in tried.shown(url)
    asyncio.run(server.ask("CREATE DATABASE app"))
    asyncio.run(server.ask("CREATE SCHEMA app AUTHORIZATION ann", database="app"))
    placed = at(server, url, "app")
    done = tried.run(placed, "db", "upgrade")
    assert done.code == 0, done.err
    assert tried.run(placed, "db", "check").code == 0
    assert tried.run(placed.partition("?")[0], "db", "check").code == 4, (
        "the tables are in the schema that was asked for"
    )


@line("postgresql://u:p@h1.example:5432,h2.example:5433/db?target_session_attrs=read-write")
def several_hosts(tried: Tried, url: str) -> None:
    assert "h1.example%2Ch2.example&port=5432%2C5433&target_session_attrs=read-write" in tried.shown(url)
    port = tried.asking.port
    there = url.replace("h1.example:5432,h2.example:5433/db", f"127.0.0.1:1,127.0.0.1:{port}/postgres")
    tried.connects(there.replace("u:p@", f"ann:{ENCODED}@"))


@line("postgresql://u:p@h.example/db?pgbouncer=true")
def prismas(tried: Tried, url: str) -> None:
    tried.refused(url, "pgbouncer", "GATEHOUSE_DATABASE__POOLER=pgbouncer")


@line("postgresql://u:p@h.example/db?ssl=true")
def ssl_true(tried: Tried, url: str) -> None:
    assert "?ssl=require" in tried.shown(url)
    tried.connects(at(tried.tls, url))
    tried.fails(at(tried.asking, url), "the server has no TLS")


@line("postgresql://u:p@h.example/db?colour=blue")
def unknown(tried: Tried, url: str) -> None:
    tried.refused(url, "the parameter 'colour' of the URL is unknown")


@line("postgresql://u:p@ss-w0rd@h.example/db")
def raw_password(tried: Tried, url: str) -> None:
    tried.refused(url, "percent-encoded")


@line("mysql://u:p@h.example/db?ssl-mode=REQUIRED")
def mysql_tls(tried: Tried, url: str) -> None:
    assert re.search(r"mysql\+asyncmy://u:\*\*\*@h\.example/db\?\S*ssl", tried.shown(url))
    if mariadb_server.named():
        place = async_url(os.environ[mariadb_server.MARIADB_URL])
        there = url.replace("u:p@h.example/db", f"{place.username}@{place.host}:{place.port}/mysql")
        tried.fails(there, "the server has no TLS")


@line("postgresql://u:p@no-such-host.invalid/db")
def no_such_host(tried: Tried, url: str) -> None:
    done = tried.run(url, "db", "check")
    known = "no host of that name is known"
    tried.fails(url, known if known in done.err else "can't be looked up")


@line("postgresql://u:wrong@127.0.0.1/db against a server that asks for passwords")
def wrong_password(tried: Tried, url: str) -> None:
    address = url.partition(" ")[0]
    for user in ("ann", "nobody"):
        there = address.replace("u:", f"{user}:").replace("127.0.0.1/db", f"127.0.0.1:{tried.asking.port}/postgres")
        tried.fails(there, "user or password are refused", "GATEHOUSE_DATABASE__USERNAME")
        tried.fails(there.replace(":wrong", ""), "user or password are refused")
    if mariadb_server.named():
        place = async_url(os.environ[mariadb_server.MARIADB_URL])
        tried.fails(f"mysql://u_nobody:wrong@{place.host}:{place.port}/mysql", "user or password are refused")


@line("postgresql://u:p@127.0.0.1/db?sslmode=require against a server without TLS")
def no_tls(tried: Tried, url: str) -> None:
    address = url.partition(" ")[0].replace("u:p@127.0.0.1/db", "u:p@h.example/db")
    tried.fails(at(tried.asking, address), "the server has no TLS, and the URL demands it")


@line("postgresql://u:p@127.0.0.1/db?sslmode=verify-full with another host's certificate")
def other_certificate(tried: Tried, url: str) -> None:
    address = at(tried.tls, url.partition(" ")[0].replace("127.0.0.1", "h.example"))
    rooted = f"{address}&sslrootcert={tried.certificates}"
    tried.fails(f"{rooted}/server.crt", "the server's certificate is for another name", "sslmode=verify-ca")
    tried.fails(f"{rooted}/other.crt", "from an unknown authority", "sslrootcert=FILE")
    tried.fails(f"{rooted}/missing.crt", "a certificate's that DATABASE_URL names")
    tried.connects(f"{rooted.replace('127.0.0.1', 'localhost')}/server.crt")


@line("through PgBouncer without POOLER")
def through_pgbouncer(tried: Tried, url: str) -> None:
    if PROGRAM is None:
        pytest.skip("no pgbouncer on this machine; tests/database/test_database_urls.py imitates its refusal")
    databases: Databases = tried.request.getfixturevalue("databases")
    direct = async_url(databases.create("postgresql"))
    with pgbouncer(direct.port or 5432) as port:
        pooled = f"postgresql://postgres@127.0.0.1:{port}/{direct.database}"
        tried.fails(pooled, "a transaction pooler (PgBouncer) is in between", "GATEHOUSE_DATABASE__POOLER=pgbouncer")
        tried.monkeypatch.setenv("GATEHOUSE_DATABASE__POOLER", "pgbouncer")
        assert tried.run(pooled, "db", "check").code == 0
        assert "database\tok\tpostgresql" in tried.run(pooled, "doctor").out.lower()
        rows = "".join(f"user{number}@example.com\n" for number in range(2500))
        (tried.folder / "people.csv").write_text(f"email\n{rows}")
        assert (
            tried.run(pooled, "users", "import", str(tried.folder / "people.csv"), "--json").json()["imported"] == 2500
        )
        assert tried.run(pooled, "users", "create", "--email", "ann@example.com").code == 0
        exported = tried.run(pooled, "users", "export")
        assert exported.out.count("@example.com") == 2501, exported.err
        assert tried.run(pooled, "users", "delete", "ann@example.com").code == 0
    databases.drop(direct.render_as_string(hide_password=False))


@pytest.mark.parametrize("url", URLS)
def test_each_url_is_taken_or_refused_as_its_line_says(
    shell: Gatehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest, url: str
) -> None:
    monkeypatch.setenv("GATEHOUSE_VAR_DIR", str(tmp_path))
    LINES[url](Tried(request, shell, monkeypatch, tmp_path), url)

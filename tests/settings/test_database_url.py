"""Database URLs: every spelling gets its async driver, and none a surprise."""

import pytest
from sqlalchemy import make_url

from settings import DatabaseSettings, Settings, SettingsError
from unitwork.urls.database_url import async_url

SPELLINGS = {
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "pgsql": "postgresql+asyncpg",
    "postgresql+psycopg2": "postgresql+asyncpg",
    "postgresql+psycopg": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
    "POSTGRES": "postgresql+asyncpg",
    "mysql": "mysql+asyncmy",
    "mysql+pymysql": "mysql+asyncmy",
    "mysql+asyncmy": "mysql+asyncmy",
    "mariadb": "mariadb+asyncmy",
    "mariadb+mariadbconnector": "mariadb+asyncmy",
    "oracle": "oracle+oracledb_async",
    "oracle+cx_oracle": "oracle+oracledb_async",
}


@pytest.mark.parametrize(("written", "taken"), SPELLINGS.items())
def test_every_spelling_gets_the_async_driver(written: str, taken: str) -> None:
    url = async_url(f"{written}://ann:pw@db.example:123/app?connect_timeout=4")
    assert url.drivername == taken
    assert (url.username, url.password, url.host, url.port, url.database) == ("ann", "pw", "db.example", 123, "app")
    assert url.query == {"connect_timeout": "4"}


@pytest.mark.parametrize("written", ["sqlite", "sqlite3", "sqlite+pysqlite", "sqlite+aiosqlite", "SQLite"])
def test_every_spelling_of_sqlite_is_a_file_for_aiosqlite(written: str) -> None:
    url = async_url(f"{written}:////srv/a%20b/x.db")
    assert (url.drivername, url.database) == ("sqlite+aiosqlite", make_url("sqlite:////srv/a%20b/x.db").database)


def test_normalising_twice_changes_nothing() -> None:
    once = async_url("postgres://ann:p%40@db/app?sslmode=require")
    assert async_url(once) == once
    assert async_url(once.render_as_string(hide_password=False)) == once


@pytest.mark.parametrize("scheme", ["mongodb", "http", "sqlserver", "mssql+pyodbc", "postgress"])
def test_an_unknown_database_names_those_there_are(scheme: str) -> None:
    with pytest.raises(ValueError, match=r"unknown database .*use one of: postgresql, mysql, mariadb, sqlite, oracle"):
        async_url(f"{scheme}://ann:canary-secret@db/app")


@pytest.mark.parametrize(
    "text", ["", "canary-secret", "postgresql:/canary-secret", "postgresql://u:canary-secret@h:x/d"]
)
def test_what_is_no_url_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="not a database URL") as raised:
        async_url(text)
    assert "canary-secret" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    "text",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite+aiosqlite://",
        "sqlite+aiosqlite:///:memory:",
        "sqlite3:///:memory:",
        "sqlite:///file::memory:?cache=shared&uri=true",
        "sqlite:///file:name?mode=memory&cache=shared&uri=true",
    ],
)
def test_an_in_memory_sqlite_is_refused_in_every_spelling(text: str) -> None:
    with pytest.raises(ValueError, match="name a file"):
        async_url(text)
    with pytest.raises(SettingsError, match=r"GATEHOUSE_DATABASE__URL: .*name a file"):
        Settings(database={"url": text})


@pytest.mark.parametrize("mode", ["disable", "prefer", "require", "verify-full"])
def test_sslmode_is_handed_to_the_driver_under_its_own_name(mode: str) -> None:
    url = async_url(f"postgres://db/app?sslmode={mode}&application_name=x")
    assert dict(url.query) == {"ssl": mode, "application_name": "x"}


def test_credentials_in_the_query_move_to_where_they_are_masked() -> None:
    url = async_url("postgres://db/app?user=ann&password=canary-secret")
    assert (url.username, url.password, dict(url.query)) == ("ann", "canary-secret", {})
    assert "canary-secret" not in repr(DatabaseSettings(url=url))

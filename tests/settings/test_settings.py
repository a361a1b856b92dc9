"""Settings: defaults, which source wins, what is refused."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from settings import Environment, LogFormat, Settings, SettingsError

KEY = "k" * 32


def problems(**values: Any) -> dict[str, str]:
    with pytest.raises(SettingsError) as raised:
        Settings(**values)
    return {problem.variable: problem.reason for problem in raised.value.problems}


def test_defaults_make_a_development_service_on_an_embedded_database() -> None:
    settings = Settings()
    assert settings.environment is Environment.DEVELOPMENT
    assert settings.debug is False
    assert settings.secret_key is None
    assert settings.var_dir == Path("var")
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert (settings.log_level, settings.log_format) == ("INFO", LogFormat.CONSOLE)
    assert settings.node_id is None
    assert settings.max_body_bytes == 32 * 1024
    http = settings.http
    assert (http.head_timeout, http.body_timeout, http.keep_alive_timeout, http.write_timeout) == (10, 20, 5, 60)
    assert (http.max_idle_connections, http.limit_concurrency) == (500, 1000)
    assert http.max_unfinished_bytes == 16 * 1024 * 1024
    assert settings.tokens.lifetime == timedelta(hours=24)
    assert settings.database.embedded
    assert settings.database.url.render_as_string() == "sqlite+aiosqlite:///var/gatehouse.db"
    assert (settings.database.pool_size, settings.database.max_overflow) == (5, 10)


def test_constructing_settings_makes_no_file() -> None:
    Settings()
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("sources", "port"),
    [
        (["flag", "environment", "dotenv", "secrets"], 1),
        (["environment", "dotenv", "secrets"], 2),
        (["dotenv", "secrets"], 3),
        (["secrets"], 4),
        ([], 8000),
    ],
)
@pytest.mark.parametrize("name", ["GATEHOUSE_PORT", "PORT"])
def test_the_first_source_that_has_a_value_wins(
    sources: list[str], port: int, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    monkeypatch.setenv("GATEHOUSE_SECRETS_DIR", str(folder))
    if "environment" in sources:
        monkeypatch.setenv(name, "2")
    if "dotenv" in sources:
        Path(".env").write_text(f"{name}=3\n")
    if "secrets" in sources:
        (folder / name).write_text("4\n")
    assert Settings(**({"port": 1} if "flag" in sources else {})).port == port


def test_a_source_higher_up_wins_even_by_a_short_name(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("GATEHOUSE_PORT=3\n")
    monkeypatch.setenv("PORT", "2")
    assert Settings().port == 2


@pytest.mark.parametrize(
    ("short", "long", "read"),
    [
        ("PORT", "GATEHOUSE_PORT", lambda settings: str(settings.port)),
        ("LOG_LEVEL", "GATEHOUSE_LOG_LEVEL", lambda settings: settings.log_level),
        ("DATABASE_URL", "GATEHOUSE_DATABASE__URL", lambda settings: settings.database.url.host),
    ],
)
def test_the_long_name_wins_over_the_short_one(
    short: str, long: str, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"PORT": ("1", "2"), "LOG_LEVEL": ("DEBUG", "ERROR"), "DATABASE_URL": ("a", "b")}[short]
    written = [f"postgresql://{value}/x" if short == "DATABASE_URL" else value for value in values]
    monkeypatch.setenv(short, written[0])
    assert read(Settings()) == values[0]
    monkeypatch.setenv(long, written[1])
    assert read(Settings()) == values[1]
    monkeypatch.setenv(long, "")
    assert read(Settings()) == values[0]


def test_a_section_takes_each_value_from_the_first_source_that_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "GATEHOUSE_DATABASE__PASSWORD").write_text("from a/file@\n")
    monkeypatch.setenv("GATEHOUSE_SECRETS_DIR", str(folder))
    monkeypatch.setenv("DATABASE_URL", "postgres://ann@db/app")
    Path(".env").write_text("GATEHOUSE_DATABASE__POOL_SIZE=7\n")
    database = Settings(database={"max_overflow": 1}).database
    assert (database.url.host, database.url.username, database.url.password) == ("db", "ann", "from a/file@")
    assert (database.pool_size, database.max_overflow) == (7, 1)


def test_a_log_level_may_be_written_in_small_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "warning")
    assert Settings().log_level == "WARNING"


def test_an_empty_variable_is_none() -> None:
    Path(".env").write_text("GATEHOUSE_PORT=\nDATABASE_URL=\nLOG_LEVEL=\nGATEHOUSE_SECRET_KEY=\n")
    settings = Settings()
    assert (settings.port, settings.log_level, settings.secret_key) == (8000, "INFO", None)
    assert settings.database.embedded


def test_a_missing_secrets_directory_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEHOUSE_SECRETS_DIR", "/nowhere/at/all")
    assert Settings().port == 8000


def test_what_other_programs_read_from_the_shared_dotenv_is_let_be() -> None:
    Path(".env").write_text("POSTGRES_PASSWORD=x\nREDIS_URL=redis://cache\nCOMPOSE_PROJECT_NAME=gate\nPORT=9\n")
    assert Settings().port == 9


def test_settings_can_not_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GATEHOUSE_PORT", "eighty"),
        ("GATEHOUSE_PORT", "70000"),
        ("GATEHOUSE_LOG_LEVEL", "LOUD"),
        ("GATEHOUSE_LOG_FORMAT", "xml"),
        ("GATEHOUSE_NODE_ID", "4096"),
        ("GATEHOUSE_ENVIRONMENT", "staging"),
        ("GATEHOUSE_MAX_BODY_BYTES", "1"),
        ("GATEHOUSE_TOKENS__LIFETIME", "0"),
        ("GATEHOUSE_TOKENS__LIFETIME", "soon"),
        ("GATEHOUSE_DATABASE__URL", "not a url"),
        ("GATEHOUSE_DATABASE__POOL_SIZE", "0"),
        ("GATEHOUSE_DATABASE__POOL_TIMEOUT", "-1"),
        ("GATEHOUSE_DATABASE__POOLER", "odyssey"),
        ("GATEHOUSE_DATABASE", "not json"),
        ("GATEHOUSE_HTTP__HEAD_TIMEOUT", "0"),
        ("GATEHOUSE_HTTP__BODY_TIMEOUT", "nan"),
        ("GATEHOUSE_HTTP__KEEP_ALIVE_TIMEOUT", "-1"),
        ("GATEHOUSE_HTTP__WRITE_TIMEOUT", "inf"),
        ("GATEHOUSE_HTTP__MAX_IDLE_CONNECTIONS", "1"),
        ("GATEHOUSE_HTTP__MAX_UNFINISHED_BYTES", "1000"),
        ("GATEHOUSE_HTTP__LIMIT_CONCURRENCY", "0"),
    ],
)
def test_an_unusable_value_names_its_variable(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    assert list(problems()) == [variable]
    with pytest.raises(SettingsError, match=f"^{variable}: "):
        Settings()


def test_a_short_name_is_reported_by_the_long_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "x")
    monkeypatch.setenv("DATABASE_URL", "x")
    assert set(problems()) == {"GATEHOUSE_PORT", "GATEHOUSE_DATABASE__URL"}


@pytest.mark.parametrize("variable", ["GATEHOUSE_DATABASE__POOLSIZE", "GATEHOUSE_TOKENS__LIFETIMES"])
def test_a_misspelt_nested_name_is_refused(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "3")
    assert list(problems()) == [variable]


def test_a_misspelt_name_in_a_dotenv_is_refused_as_it_is_written() -> None:
    Path(".env").write_text("GATEHOUSE_PROT=3\n")
    assert list(problems()) == ["GATEHOUSE_PROT"]


def test_a_misspelt_argument_is_refused() -> None:
    assert list(problems(prot=3)) == ["GATEHOUSE_PROT"]
    assert list(problems(database={"pool": 3})) == ["GATEHOUSE_DATABASE__POOL"]


def test_every_problem_is_reported_at_once() -> None:
    assert set(problems(port="x", node_id=-1, database={"pool_size": 0})) == {
        "GATEHOUSE_PORT",
        "GATEHOUSE_NODE_ID",
        "GATEHOUSE_DATABASE__POOL_SIZE",
    }


def test_production_needs_a_secret_key() -> None:
    found = problems(environment="production")
    assert list(found) == ["GATEHOUSE_SECRET_KEY"]
    assert "openssl rand -hex 32" in found["GATEHOUSE_SECRET_KEY"]


@pytest.mark.parametrize("environment", ["production", "development"])
def test_a_short_secret_key_is_refused_everywhere(environment: str) -> None:
    assert list(problems(environment=environment, secret_key="k" * 31)) == ["GATEHOUSE_SECRET_KEY"]


def test_production_refuses_debug() -> None:
    assert list(problems(environment="production", secret_key=KEY, debug=True)) == ["GATEHOUSE_DEBUG"]
    assert Settings(environment="production", secret_key=KEY).debug is False
    assert Settings(debug=True).debug is True


def test_replicas_are_urls_separated_by_commas_with_the_primarys_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://ann@db/shop")
    monkeypatch.setenv("GATEHOUSE_DATABASE__PASSWORD", "s3cret")
    monkeypatch.setenv(
        "GATEHOUSE_DATABASE__REPLICA_URLS", "postgres://one/shop?sslmode=require, pg://bob:p,w@two/shop,"
    )
    with pytest.raises(SettingsError, match="GATEHOUSE_DATABASE__REPLICA_URLS"):
        Settings()
    monkeypatch.setenv("GATEHOUSE_DATABASE__REPLICA_URLS", "postgres://ann@one/shop, postgres://bob:p,w@two/shop,")
    one, two = Settings().database.replica_urls
    assert (one.username, one.password, one.host) == ("ann", "s3cret", "one")
    assert (two.username, two.password, two.host) == ("bob", "p,w", "two")
    assert "s3cret" not in f"{Settings()!r}{Settings().model_dump_json()}"


@pytest.mark.parametrize(
    ("replicas", "reason"),
    [
        ("sqlite:///b.db", "replicas are read on PostgreSQL alone"),
        ("nonsense", "URL"),
        (7, "name the replicas' URLs"),
    ],
)
def test_replicas_that_are_none_are_refused_by_the_variables_name(replicas: object, reason: str) -> None:
    told = problems(database={"url": "sqlite:///a.db", "replica_urls": replicas})
    assert reason in told["GATEHOUSE_DATABASE__REPLICA_URLS"]


def test_a_lag_beyond_what_clients_positions_live_is_refused() -> None:
    assert list(problems(database={"replica_max_lag": 31})) == ["GATEHOUSE_DATABASE__REPLICA_MAX_LAG"]
    assert list(problems(tokens={"replica_staleness": 31})) == ["GATEHOUSE_TOKENS__REPLICA_STALENESS"]

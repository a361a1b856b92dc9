"""The engine: opened by `running()` alone, named when it can't be reached."""

import socket
import sys
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from containers import Container, running
from settings import DatabaseSettings, Settings
from unitwork.backends.address import address
from unitwork.connections.engine import build_engine
from unitwork.connections.listeners import install
from unitwork.errors import ContainerClosed, DatabaseUnavailable, DriverNotInstalled, EngineNotStarted
from unitwork.models import SYSTEM, acting_as

CANARY = "canary-7Q"


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_the_engine_is_not_there_before_running(settings: Settings) -> None:
    container = Container(settings=settings)
    with pytest.raises(EngineNotStarted, match=r"async with running\(container\)"):
        container.engine()


async def test_sessions_say_so_on_entering_and_not_on_resolving(settings: Settings) -> None:
    container = Container(settings=settings)
    provider, transaction, dao = container.session_provider(), container.transaction(), container.user_dao()
    with pytest.raises(EngineNotStarted):
        async with provider():
            pytest.fail("there is no engine")
    with pytest.raises(EngineNotStarted):
        async with transaction():
            pytest.fail("there is no engine")
    with pytest.raises(EngineNotStarted):
        await dao.get(1)
    async with running(container):
        assert await dao.get_or_none(1) is None
    with pytest.raises(ContainerClosed):
        await dao.get(1)


@pytest.mark.parametrize(
    ("url", "extra"),
    [
        ("mysql://db/app", "unitwork[mysql]"),
        ("mariadb://db/app", "unitwork[mysql]"),
        ("oracle://db/app", "unitwork[oracle]"),
    ],
)
async def test_a_missing_driver_names_the_extra_to_install(
    url: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for driver in ("asyncmy", "oracledb"):  # None: importing it fails
        monkeypatch.setitem(sys.modules, driver, None)
    container = Container(settings=Settings(database={"url": url, "password": CANARY}))
    with pytest.raises(DriverNotInstalled) as raised:
        async with running(container):
            pytest.fail("it can't start")
    assert f"pip install '{extra}'" in str(raised.value)
    assert CANARY not in str(raised.value)
    with pytest.raises(ContainerClosed):
        async with running(container):
            pytest.fail("a failed start is an end")


async def test_a_server_that_is_not_there_is_named_without_credentials(closed_port: int) -> None:
    url = f"postgresql://{CANARY}:{CANARY}@127.0.0.1:{closed_port}/app"
    async with running(Container(settings=Settings(database={"url": url}))) as container:
        with pytest.raises(DatabaseUnavailable, match=rf"127\.0\.0\.1:{closed_port}/app can't be reached: ") as raised:
            await container.user_dao().get(1)
        assert CANARY not in str(raised.value) + repr(raised.value)
        assert raised.value.__cause__ is None
        assert raised.value.__suppress_context__
        assert raised.value.retry_after > 0
        assert container.schema().connections_in_use == 0
        with pytest.raises(DatabaseUnavailable):
            await container.schema().current()


async def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        settings = Settings(database={"url": f"postgresql://u@127.0.0.1:{port}/app", "connect_timeout": 0.2})
        async with running(Container(settings=settings)) as container:
            with pytest.raises(DatabaseUnavailable, match="no answer in time"):
                await container.user_dao().get(1)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_database_that_does_not_exist_is_unavailable(database_url: str) -> None:
    url = make_url(database_url).set(database="gatehouse_test_nowhere").render_as_string(hide_password=False)
    async with running(Container(settings=Settings(database={"url": url}))) as container:
        with pytest.raises(DatabaseUnavailable, match="gatehouse_test_nowhere"):
            await container.user_dao().get(1)


async def test_a_file_that_can_not_be_a_database_is_unavailable(tmp_path: Path) -> None:
    settings = Settings(database={"url": f"sqlite:///{tmp_path}"})
    async with running(Container(settings=settings)) as container:
        with pytest.raises(DatabaseUnavailable, match=tmp_path.name):
            await container.user_dao().get(1)


async def test_the_folder_of_a_sqlite_file_is_made_on_connecting_and_not_before(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    async with running(Container(settings=Settings(database={"url": f"sqlite:///{folder}/x.db"}))) as container:
        assert not folder.exists()
        await container.schema().upgrade()
        assert (folder / "x.db").exists()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_a_sqlite_connection_waits_for_its_writer_and_keeps_foreign_keys(settings: Settings) -> None:
    async with running(Container(settings=settings)) as container, container.engine().connect() as connection:
        pragmas = {}
        for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous"):
            pragmas[name] = (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30_000, "synchronous": 1}


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_postgresql_connection_names_itself_and_bounds_its_statements(settings: Settings) -> None:
    async with running(Container(settings=settings)) as container, container.engine().connect() as connection:
        shown = {
            name: (await connection.execute(text(f"SHOW {name}"))).scalar_one()
            for name in ("application_name", "statement_timeout", "timezone")
        }
    assert shown == {"application_name": "gatehouse", "statement_timeout": "30s", "timezone": "UTC"}


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_behind_a_pooler_no_session_settings_are_sent(database_url: str) -> None:
    engine = build_engine(DatabaseSettings.model_validate({"url": database_url, "pooler": "pgbouncer"}))
    async with engine.connect() as connection:
        assert (await connection.execute(text("SHOW application_name"))).scalar_one() == ""
        for _ in range(3):
            await connection.execute(text("SELECT 1"))
        named = await connection.execute(text("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''"))
        assert named.scalar_one() <= 1  # the statement that asks
    await engine.dispose()


async def test_a_read_only_unit_can_not_write(container: Container) -> None:
    with acting_as(SYSTEM):
        await container.user_service().create({"email": "ann@example.com"})
    for statement in ("DELETE FROM users", "UPDATE users SET version = 9"):
        with pytest.raises(Exception, match=r"(?i)read.?only"):
            await _execute_read_only(container, statement)
    assert (await container.user_dao().query().one()).version == 1


async def _execute_read_only(container: Container, statement: str) -> None:
    async with container.session_provider()(read_only=True) as session:
        await session.execute(text(statement))


async def test_installing_twice_registers_once(database_url: str) -> None:
    engine = build_engine(DatabaseSettings.model_validate({"url": database_url}))
    install(engine)
    install(engine)
    async with engine.begin() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM users"))).scalar_one() == 0
    await engine.dispose()


def test_an_address_holds_no_credentials() -> None:
    assert address(make_url(f"postgresql://u:{CANARY}@db:1/app")) == "db:1/app"
    assert address(make_url(f"postgresql://u:{CANARY}@/app")) == "localhost/app"
    assert address(make_url("sqlite:///var/x.db")) == "var/x.db"

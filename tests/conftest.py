"""What every test may ask for: a database of its own on each backend, a running container over it, a client."""

import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from app.api import create_app
from containers import Container, running
from domain import SYSTEM, Role, acting_as
from settings import Settings
from tests.databases import POSTGRESQL_URL, Databases, postgresql
from tests.postgresql_server import postgresql_server

ROOT = Path(__file__).parent.parent
_servers = ExitStack()


def pytest_configure(config: pytest.Config) -> None:
    """Before any worker starts: a PostgreSQL for all of them."""
    if not hasattr(config, "workerinput") and not os.environ.get(POSTGRESQL_URL):
        os.environ[POSTGRESQL_URL] = _servers.enter_context(postgresql_server())


def pytest_unconfigure() -> None:
    _servers.close()


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [f"databases: {', '.join(_versions())}"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"ran on: {', '.join(_versions())}")


def _versions() -> list[str]:
    server = str(postgresql(lambda connection: connection.fetchval("SHOW server_version"))).split()[0]
    return [f"sqlite {sqlite3.sqlite_version}", f"postgresql {server}"]


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads this machine's settings, or leaves files in the project."""
    for name in list(os.environ):
        if (name.startswith("GATEHOUSE_") and not name.startswith("GATEHOUSE_TEST_")) or name in {
            "DATABASE_URL",
            "REDIS_URL",
            "PORT",
            "LOG_LEVEL",
        }:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    every = Databases(tmp_path_factory.mktemp("databases"))
    yield every
    every.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each test that asks for it, directly or not, runs on every backend."""
    return str(request.param)


@pytest.fixture
def database_url(databases: Databases, backend: str) -> Iterator[str]:
    """A migrated database of this test's own."""
    url = databases.create(backend)
    yield url
    databases.drop(url)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(database={"url": database_url}, var_dir=tmp_path)


@pytest.fixture
async def container(settings: Settings) -> AsyncIterator[Container]:
    """A running container over this test's database; no connection may be left in use."""
    async with running(Container(settings=settings)) as container:
        yield container
        assert container.schema().connections_in_use == 0


@pytest.fixture
async def app(container: Container) -> FastAPI:
    return create_app(container)


@pytest.fixture
async def admin_token(container: Container) -> str:
    with acting_as(SYSTEM):
        admin = await container.user_service().create({"email": "root@example.com", "role": Role.ADMIN})
        _, secret = await container.auth_service().issue(admin.id)
    return secret


@pytest.fixture
async def client(app: FastAPI, admin_token: str) -> AsyncIterator[httpx2.AsyncClient]:
    """HTTP in this process, as an admin."""
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://test", headers={"Authorization": f"Bearer {admin_token}"}
    ) as client:
        yield client

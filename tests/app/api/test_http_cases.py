"""Every line of `tests/data/http.json`, on every database: in this process, and of a server as it is served."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from app.api import create_app
from containers import Container, running
from settings import HttpSettings, Settings
from tests.app.http_cases import LINES, ORIGIN, Http
from tests.cases import HTTP
from tests.flows.server import command, json_of, serving, until_listening

sqlite_and_postgresql = pytest.mark.parametrize("backend", ["sqlite", "postgresql"], indirect=True)


@asynccontextmanager
async def mounted(container: Container, token: str) -> AsyncIterator[httpx2.AsyncClient]:
    outer = FastAPI()
    outer.mount("/accounts", create_app(container))
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(outer), base_url="http://test", headers={"Authorization": f"Bearer {token}"}
    ) as client:
        yield client


class TestInThisProcess:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"http": HttpSettings(cors_origins=(ORIGIN,))})

    @pytest.mark.parametrize("request_", HTTP)
    async def test_each_line_is_answered_as_it_says(
        self, client: httpx2.AsyncClient, container: Container, settings: Settings, admin_token: str, request_: str
    ) -> None:
        await LINES[request_](Http(client, settings, lambda: mounted(container, admin_token)))


@sqlite_and_postgresql
@pytest.mark.database("own")
async def test_a_server_answers_each_line_as_it_says(database_url: str, settings: Settings, tmp_path: Path) -> None:
    variables = {
        "DATABASE_URL": database_url,
        "GATEHOUSE_VAR_DIR": str(tmp_path),
        "GATEHOUSE_HTTP__CORS_ORIGINS": ORIGIN,
    }
    created = command("users", "create", "--email", "root@example.com", "--role", "admin", **variables)
    assert created.returncode == 0, created.stderr
    token = json_of("tokens", "issue", "root@example.com", **variables)["access_token"]

    @asynccontextmanager
    async def apart() -> AsyncIterator[httpx2.AsyncClient]:
        async with running(Container(settings=settings)) as container, mounted(container, token) as client:
            yield client

    failed: dict[str, Any] = {}
    with serving(tmp_path, **variables) as address:
        until_listening(address)
        async with httpx2.AsyncClient(base_url=address, headers={"Authorization": f"Bearer {token}"}) as client:
            for request, answered in LINES.items():
                try:
                    await answered(Http(client, settings, apart))
                except AssertionError as error:
                    failed[request] = str(error)
    assert not failed, json.dumps(failed, indent=1)

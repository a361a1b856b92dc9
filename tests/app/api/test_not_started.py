"""An application without its lifespan, and one that meets a row of a newer version, answer honestly."""

import logging
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, WebSocket
from sqlalchemy import text

from app.api import create_app
from app.api.access import Access
from app.api.dependencies import ContainerDep
from containers import Container, running
from domain import Role
from settings import Settings
from unitwork.models import SYSTEM, acting_as


def client_of(app: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://test", headers={"Authorization": "Bearer gh_" + "x" * 43}
    )


@pytest.mark.database("own")  # the one that isolated tests share takes no writes of others, and isn't ready then
@pytest.mark.parametrize("given", [True, False], ids=["a container that isn't running", "no container"])
@pytest.mark.parametrize("mounted", [False, True], ids=["alone", "mounted"])
async def test_without_a_lifespan_what_needs_the_database_is_not_started(
    settings: Settings, given: bool, mounted: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", settings.database.url.render_as_string(hide_password=False))
    app = create_app(Container(settings=settings) if given else None)
    outer: Any = app
    if mounted:
        outer = FastAPI()
        outer.mount("/accounts", app)
    prefix = "/accounts" if mounted else ""
    async with client_of(outer) as client:
        assert (await client.get(f"{prefix}/health/live")).status_code == 200
        ready = await client.get(f"{prefix}/health/ready")
        assert (ready.status_code, ready.json()["code"], ready.json()["database"]) == (503, "not_started", "unknown")
        for method, path, body in (
            ("GET", "/v1/users/me", None),
            ("GET", "/v1/users", None),
            ("GET", "/v1/monitor/feed", None),
            ("POST", "/v1/auth/login", {"login": "a@example.com", "password": "correct horse"}),
            ("POST", "/v1/auth/register", {"email": "a@example.com", "password": "correct horse", "display_name": "A"}),
        ):
            caplog.clear()
            answer = await client.request(method, f"{prefix}{path}", json=body)
            assert answer.status_code == 503, (path, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] == "not_started", path
            assert answer.headers["retry-after"]
            assert "EngineNotStarted: the engine is not started. Do this inside `async with running(" in caplog.text
            assert "Traceback" not in caplog.text
        async with running(Container(settings=settings)) as container:
            app.state.container = container
            assert (await client.get(f"{prefix}/health/ready")).json()["status"] == "ok"
            assert (await client.get(f"{prefix}/v1/users/me")).status_code == 401, (
                "it is asked, and knows no such token"
            )


async def test_a_websocket_is_closed_with_try_again_later(settings: Settings) -> None:
    app = create_app(Container(settings=settings))
    app.state.access_table.add("GET /v1/feed", Access.BEARER)

    @app.websocket("/v1/feed")
    async def feed(websocket: WebSocket, container: ContainerDep) -> None:
        pytest.fail("nobody is known")

    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": "/v1/feed",
        "headers": [(b"authorization", b"Bearer gh_" + b"x" * 43)],
        "query_string": b"",
        "client": ("127.0.0.1", 1),
        "subprotocols": [],
    }
    await app(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1013}]


@pytest.mark.database("own")
async def test_a_row_of_a_newer_version_is_told_in_the_log_and_not_in_the_answer(
    container: Container, caplog: pytest.LogCaptureFixture
) -> None:
    with acting_as(SYSTEM):
        admin = await container.user_service().create(
            {"email": "admin@example.com", "display_name": "Admin", "role": Role.ADMIN}
        )
        _, secret = await container.auth_service().issue(admin.id)
        newer = await container.user_service().create({"email": "newer@example.com", "display_name": "Newer"})
    async with container.engine().begin() as connection:
        await connection.execute(text("UPDATE users SET role = 'auditor' WHERE id = :id"), {"id": newer.id})
    async with client_of(create_app(container)) as client:
        client.headers["Authorization"] = f"Bearer {secret}"
        for path in ("/v1/users", f"/v1/users/{newer.id}"):
            caplog.clear()
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (500, "unreadable_row")
            for word in ("auditor", "SELECT", "role", "newer@example.com"):
                assert word not in answer.text.replace(str(newer.id), "")
            (line,) = (record for record in caplog.records if record.levelno == logging.ERROR)
            assert f"UnknownLabel: the row id {newer.id} of users has 'auditor' in role" in line.getMessage()
            assert "Traceback" not in caplog.text

"""create_app: what an application shows of itself, and whose container it serves."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from app.api import create_app
from containers import Container, running
from domain import Role, User
from settings import Settings
from tests.fakes import InMemoryUsers, over_fakes
from tests.patience import until_ready
from unitwork.models import SYSTEM, acting_as
from unitwork.testing.fakes import FakeSessionProvider


def client_of(app: FastAPI, token: str = "") -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://test", headers={"Authorization": f"Bearer {token}"}
    )


async def admin_of(container: Container, name: str) -> str:
    with acting_as(SYSTEM):
        admin = await container.user_service().create(
            {"email": f"{name}@example.com", "display_name": name, "role": Role.ADMIN}
        )
        _, secret = await container.auth_service().issue(admin.id)
    return secret


@pytest.mark.database("own")
async def test_production_serves_no_docs(settings: Settings) -> None:
    production = settings.model_copy(update={"environment": "production"})
    async with running(Container(settings=production)) as container, client_of(create_app(container)) as client:
        for path in ("/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"):
            assert (await client.get(path)).status_code == 404
        await until_ready(client)


async def test_development_serves_its_docs(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/docs")).status_code == 200
    assert (await client.get("/openapi.json")).json()["info"]["title"]


def test_no_schema_names_a_secret_we_store() -> None:
    app = create_app(Container(settings=Settings()))
    text = json.dumps(app.openapi())
    for word in ("password_hash", "digest", "email_key", "token_hash"):
        assert word not in text
    for name, schema in app.openapi()["components"]["schemas"].items():
        if "password" in schema.get("properties", {}):
            assert name in {"NewUser", "Registration", "Login", "NewPassword"}, "a password goes in and never comes out"


def test_every_input_schema_refuses_unknown_fields() -> None:
    document = create_app(Container(settings=Settings())).openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is not None:
                either = content["schema"].get("anyOf", [content["schema"]])  # or none at all
                name = either[0]["$ref"].rpartition("/")[2]
                schema: dict[str, Any] = document["components"]["schemas"][name]
                assert schema["additionalProperties"] is False, (method, path)


@pytest.mark.database("own")
async def test_two_applications_in_one_process_serve_their_own_databases(settings: Settings, other_url: str) -> None:
    other_settings = Settings(database={"url": other_url}, var_dir=settings.var_dir)
    async with (
        running(Container(settings=settings)) as one,
        running(Container(settings=other_settings)) as two,
        client_of(create_app(one), await admin_of(one, "one")) as first,
        client_of(create_app(two), await admin_of(two, "two")) as second,
    ):
        for number in range(5):
            assert (await first.post("/v1/users", json={"email": f"first{number}@example.com"})).status_code == 201
            assert (await second.post("/v1/users", json={"email": f"second{number}@example.com"})).status_code == 201
        for client, mine in ((first, ("one", "first")), (second, ("two", "second"))):
            emails = [item["email"] for item in (await client.get("/v1/users?sort=id")).json()["items"]]
            assert len(emails) == 6
            assert all(email.startswith(mine) for email in emails)
        stranger = await first.get("/v1/users", headers={"Authorization": second.headers["Authorization"]})
        assert stranger.status_code == 401


@pytest.mark.database("own")
async def test_an_override_on_one_container_is_never_seen_by_another(settings: Settings) -> None:
    async with (
        running(Container(settings=settings)) as one,
        running(Container(settings=settings)) as two,
        client_of(create_app(one), await admin_of(one, "one")) as first,
        client_of(create_app(two), await admin_of(two, "two")) as second,
    ):
        with one.user_dao.override(InMemoryUsers(FakeSessionProvider())), acting_as(SYSTEM):
            made = await one.user_service().create({"email": "fake@example.com"})
            path = f"/v1/users/{made.id}"
            assert (await first.get(path)).json()["email"] == "fake@example.com"
            assert (await second.get(path)).status_code == 404
        assert (await first.get(path)).status_code == 404
        emails = [item["email"] for item in (await first.get("/v1/users?sort=id")).json()["items"]]
        assert emails == ["one@example.com", "two@example.com"]


@pytest.mark.database("own")
async def test_an_application_without_container_starts_again_and_again_from_the_environment(
    settings: Settings, other_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEHOUSE_VAR_DIR", str(settings.var_dir))
    monkeypatch.setenv("DATABASE_URL", settings.database.url.render_as_string(hide_password=False))
    app = create_app()
    containers = []
    for _ in range(2):
        async with app.router.lifespan_context(app):
            containers.append(app.state.container)
            async with client_of(app) as client:
                await until_ready(client)
    monkeypatch.setenv("DATABASE_URL", other_url)
    async with app.router.lifespan_context(app):
        containers.append(app.state.container)
        token = await admin_of(app.state.container, "other")
        async with client_of(app, token) as client:
            assert len((await client.get("/v1/users")).json()["items"]) == 1
    assert len(set(map(id, containers))) == 3
    async with running(Container(settings=settings)) as first:
        assert await first.user_dao().count().rows() == 0


@pytest.mark.database("own")
async def test_an_application_over_a_given_container_enters_it_itself(settings: Settings) -> None:
    app = create_app(Container(settings=settings))
    async with app.router.lifespan_context(app), client_of(app) as client:
        await until_ready(client)


def test_creating_an_application_connects_to_nothing_and_writes_nothing(tmp_path: Path) -> None:
    create_app(Container(settings=Settings(database={"url": "postgresql://nobody@127.0.0.1:1/none"})))
    assert list(tmp_path.iterdir()) == []


async def test_an_application_over_fakes_needs_no_database() -> None:
    admin = User.create({"email": "root@example.com", "role": Role.ADMIN})

    class Anybody:
        async def authenticate(self, secret: str) -> User:
            return admin

    container, sessions = over_fakes()
    container.auth_service.override(Anybody())
    with acting_as(SYSTEM):
        await container.user_dao().add(admin)
    async with running(container), client_of(create_app(container), "any") as client:
        made = await client.post("/v1/users", json={"email": "ada@example.com"})
        assert made.status_code == 201
        assert made.json()["created_by"] == str(admin.id)
        path = made.headers["location"]
        assert (await client.get(path)).json() == made.json()
        assert (await client.post("/v1/users", json={"email": "ADA@example.com"})).status_code == 409
        assert (await client.delete(path, headers={"If-Match": '"1"'})).headers["etag"] == '"2"'
        assert (await client.get(path)).status_code == 404
        assert container.schema().connections_in_use == 0
    assert sessions.outcomes == ("committed", "committed", "rolled back", "committed")
    assert len(sessions.committed(User)) == 2

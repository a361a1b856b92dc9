"""What holds for every address: HEAD, OPTIONS, 405, the media types of bodies, and what the query says."""

import re

import httpx2
import pytest
from fastapi import FastAPI

from app.api import create_app
from app.api.access import TABLE
from containers import Container
from settings import Settings
from tests.app.api.conftest import Create, SignIn
from tests.app.api.problem_document import READINESS, assert_problem
from tests.app.api.test_access import routes
from unitwork.errors import EngineNotStarted

JSON = {"Content-Type": "application/json"}
CHANGING = {"/metrics", "/v1/monitor", "/v1/users/me/data"}
"""Addresses whose answer isn't the same twice: the last one's trail has its own last reading."""
sqlite_only = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


def gets(id: str, app: FastAPI) -> list[str]:
    names = {"{user_id}": id, "/monitor/{name}": "/monitor/monitor.js", "/docs/{name}": "/docs/swagger-ui.css"}
    found = []
    for line in sorted(routes(app)):
        method, _, path = line.partition(" ")
        for name, value in names.items():
            path = path.replace(name, value)
        if method == "GET":
            found.append(path.replace("{job_id}", "1"))
    return found


async def test_head_is_get_without_its_body_at_every_address(
    app: FastAPI, client: httpx2.AsyncClient, create: Create
) -> None:
    id_ = (await create(email="ada@example.com"))["id"]
    paths = gets(id_, app)
    assert len(paths) >= 15
    for path in [*paths, "/nothing", "/v1/nothing", "/v1/users/1", "/v1/users?limit=0"]:
        head = await client.head(path)
        assert head.content == b"", path
        assert "allow" not in head.headers
        if path == "/v1/monitor/feed":
            assert head.headers["content-type"].startswith("text/event-stream")
            continue
        get = await client.get(path)
        assert head.status_code == get.status_code, path
        changing = {"x-request-id", "date"} | ({"content-length"} if path in CHANGING else set())
        for name in {*get.headers, *head.headers} - changing:
            assert head.headers.get(name) == get.headers.get(name), (path, name)


async def test_head_needs_a_token_wherever_get_does(client: httpx2.AsyncClient, sign_in: SignIn) -> None:
    _, ada = await sign_in({"email": "ada@example.com"})
    for path in ("/v1/users", "/v1/users/1", "/v1/users/export", "/v1/nothing"):
        assert (await client.head(path, headers={"Authorization": ""})).status_code == 401
    for path in ("/v1/users", "/v1/users/1", "/v1/users/export"):
        assert (await client.head(path, headers=ada)).status_code == 403


async def test_a_head_of_the_export_asks_the_database_for_no_account(
    client: httpx2.AsyncClient, container: Container
) -> None:
    class Exported:
        def export(self) -> None:
            pytest.fail("it was run")

    with container.user_csv_service.override(Exported()):
        answer = await client.head("/v1/users/export")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "content-length" not in answer.headers


@sqlite_only
async def test_an_address_names_every_method_of_its_own_and_no_other(client: httpx2.AsyncClient) -> None:
    allowed = {
        "/v1/users": "GET, HEAD, POST, OPTIONS",
        "/v1/users/1": "GET, HEAD, PATCH, DELETE, OPTIONS",
        "/v1/users/me": "GET, HEAD, PATCH, OPTIONS",
        "/v1/users/import": "POST, OPTIONS",
        "/v1/users/export": "GET, HEAD, OPTIONS",
        "/v1/users/me/password": "POST, OPTIONS",
        "/v1/users/1/restore": "POST, OPTIONS",
        "/v1/auth/login": "POST, OPTIONS",
        "/health/live": "GET, HEAD, OPTIONS",
        "/docs": "GET, HEAD, OPTIONS",
    }
    for path, methods in allowed.items():
        asked = await client.options(path)
        assert (asked.status_code, asked.content, asked.headers["allow"]) == (204, b"", methods)
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"} - set(methods.split(", ")):
            answer = await client.request(method, path, content=b"{", headers={**JSON, "If-Match": "nonsense"})
            problem = assert_problem(answer, 405, "method_not_allowed")
            assert answer.headers["allow"] == methods, (method, path)
            assert methods in problem["detail"]
    for path in ("/v1/users/1", "/v1/users/me", "/v1/monitor/thresholds"):
        for method in ("OPTIONS", "PUT"):
            answer = await client.request(method, path)
            assert answer.headers["accept-patch"] == "application/merge-patch+json, application/json"


@sqlite_only
async def test_who_is_nobody_learns_no_methods_but_those_of_what_is_for_anyone(client: httpx2.AsyncClient) -> None:
    nobody = {"Authorization": ""}
    for method in ("PUT", "OPTIONS", "TRACE"):
        assert_problem(await client.request(method, "/v1/users/1", headers=nobody), 401, "not_authenticated")
        assert_problem(await client.request(method, "/v1/nothing", headers=nobody), 401, "not_authenticated")
    assert_problem(await client.put("/v1/auth/login", headers=nobody), 405, "method_not_allowed")
    assert (await client.options("/v1/auth/login", headers=nobody)).status_code == 204
    for path in ("/nothing", "/v1/users/", "/v1//users", "/V1/users", "/v1/users/1/", "/health"):
        for method in ("GET", "HEAD", "OPTIONS", "PUT"):
            assert (await client.request(method, path)).status_code == 404, (method, path)


async def test_production_names_no_method_of_docs_that_are_not_there() -> None:
    production = Settings(
        environment="production", secret_key="k" * 32, database={"url": "postgresql://x@127.0.0.1:1/x"}
    )
    app = create_app(Container(settings=production))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client:
        for path in ("/docs", "/docs/docs.js", "/openapi.json"):
            for method in ("GET", "OPTIONS", "PUT", "HEAD"):
                assert (await client.request(method, path)).status_code == 404


@sqlite_only
async def test_a_slash_that_is_encoded_is_part_of_no_address(client: httpx2.AsyncClient, create: Create) -> None:
    id_ = (await create(email="ada@example.com"))["id"]
    for path in (f"/v1/users%2F{id_}", f"/v1/users/{id_}%2fhistory", "/health%2Flive", "/docs/%2e%2e%2Fdocs.py"):
        answer = await client.get(path)
        assert answer.status_code == 404, path
        assert answer.json()["code"] == "no_such_address"


@pytest.mark.parametrize("given", [True, False])
async def test_an_application_whose_lifespan_never_ran_says_so_by_name(
    given: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(Container(settings=Settings()) if given else None)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client:
        for method, path in (
            ("GET", "/health/ready"),
            ("GET", "/v1/users"),
            ("POST", "/v1/auth/logout"),
            ("GET", "/v1/users/me"),
        ):
            answer = await client.request(method, path, headers={"Authorization": "Bearer gh_any"})
            facts = READINESS if path == "/health/ready" else frozenset()
            problem = assert_problem(answer, 503, "not_started", facts=facts)
            assert EngineNotStarted.__name__ in problem["detail"]
            assert answer.headers["retry-after"]
        assert (await client.get("/health/live")).status_code == 200
    assert any(EngineNotStarted.__name__ in record.message for record in caplog.records)
    assert not [record for record in caplog.records if record.exc_info]


@sqlite_only
async def test_an_answer_about_a_person_is_kept_by_no_cache(
    client: httpx2.AsyncClient, create: Create, app: FastAPI
) -> None:
    id_ = (await create(email="ada@example.com"))["id"]
    for path in gets(id_, app):
        if path != "/v1/monitor/feed" and path.startswith("/v1"):
            assert (await client.get(path)).headers["cache-control"] == "no-store", path


def test_every_line_of_the_table_is_an_address_of_its_own() -> None:
    assert len({re.sub(r"\{\w+\}", "{}", line) for line in TABLE}) == len(TABLE)

"""Who may call what: every route has its line in the one table, and the table is kept."""

import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts

from app.api import create_app
from app.api.access import TABLE, Access, AccessTable, access_table
from containers import Container
from settings import Settings
from tests.app.api.conftest import SignIn
from tests.app.api.problem_document import assert_problem
from tests.fakes import over_fakes
from unitwork.models import SYSTEM, acting_as

FRAMEWORK = {"HEAD /openapi.json"}
"""What the framework adds to a route of ours."""


def routes(app: FastAPI) -> set[str]:
    """Every route of the application, as the table names it; a mount counts as one."""
    found = set()
    for context in iter_route_contexts(app.routes):
        for method in context.methods or {"WEBSOCKET"}:
            found.add(f"{method} {context.path}")
    return found - FRAMEWORK


def everything() -> set[str]:
    return routes(create_app(Container(settings=Settings())))


def unlisted(table: AccessTable, lines: set[str]) -> Iterator[str]:
    for line in sorted(lines):
        method, _, path = line.partition(" ")
        if table.find(method, path) is None:
            yield line


def test_every_route_of_the_application_is_in_the_table() -> None:
    lines = everything()
    assert len(lines) >= 18
    assert list(unlisted(AccessTable(), lines)) == [], "say who may call it in app/api/access.py"


def test_a_route_that_is_not_in_the_table_is_found() -> None:
    app = create_app(Container(settings=Settings()))

    @app.get("/v1/forgotten/{id}")
    async def forgotten(id: int) -> None: ...

    @app.websocket("/v1/live")
    async def live() -> None: ...

    assert list(unlisted(access_table(app), routes(app))) == ["GET /v1/forgotten/{id}", "WEBSOCKET /v1/live"]


def test_each_route_finds_its_own_line_and_no_other() -> None:
    table = AccessTable()
    for line in everything():
        method, _, path = line.partition(" ")
        listed = table.find(method, path)
        assert listed is not None
        assert listed.access is TABLE[line], line


def test_what_anyone_may_call_is_this_and_nothing_else() -> None:
    assert {line for line, access in TABLE.items() if access is Access.ANYONE and "/v1/" in line} == {
        "POST /v1/auth/register",
        "POST /v1/auth/login",
        "POST /v1/auth/refresh",
        "POST /v1/auth/logout",
        "POST /v1/auth/verify/request",
        "POST /v1/auth/verify",
        "POST /v1/auth/recover",
        "POST /v1/auth/recover/confirm",
        "POST /v1/auth/invitation/accept",
    }


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_a_route_without_a_line_is_named_in_the_log_and_answers_nobody(
    app: FastAPI, client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    async def forgotten() -> str:
        pytest.fail("it has no line")

    app.add_api_route("/v1/forgotten", forgotten)
    app.add_api_route("/forgotten", forgotten)
    for headers in ({}, {"Authorization": ""}):
        assert_problem(await client.get("/forgotten", headers=headers), 403, "not_allowed")
    assert_problem(await client.get("/v1/forgotten"), 403, "not_allowed")
    for line in ("GET /forgotten", "GET /v1/forgotten"):
        assert any(record.message.startswith(f"{line} answers nobody") for record in caplog.records)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_a_route_is_not_covered_by_the_line_of_another_that_its_requests_fit(
    app: FastAPI, client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """An address of /v1/users/{user_id}, and a method of it that has no line."""

    async def forgotten() -> str:
        pytest.fail("it has no line")

    router = APIRouter()
    router.add_api_route("/{user_id}", forgotten, methods=["PUT"])
    router.add_api_route("/search", forgotten)
    app.include_router(router, prefix="/v1/users")
    # Routes that come first, as those of an application that adds its own before ours.
    app.router.routes.insert(0, app.router.routes.pop())
    for line in ("PUT /v1/users/1", "GET /v1/users/search"):
        method, _, path = line.partition(" ")
        assert_problem(await client.request(method, path), 403, "not_allowed")
    for line in ("PUT /v1/users/{user_id}", "GET /v1/users/search"):
        assert any(record.message.startswith(f"{line} answers nobody") for record in caplog.records)
    access_table(app).add("PUT /v1/users/{id}", Access.ADMIN)
    assert "PUT" in (await client.options("/v1/users/1")).headers["allow"]


async def test_routes_without_a_line_are_named_as_the_application_starts(caplog: pytest.LogCaptureFixture) -> None:
    container, _ = over_fakes()
    app = create_app(container)
    app.add_api_route("/v1/forgotten", lambda: None)
    async with app.router.lifespan_context(app):
        named = [record.message for record in caplog.records if "answers nobody" in record.message]
    assert len(named) == 1
    assert named[0].startswith("GET /v1/forgotten")


def request_for(line: str, user_id: int) -> tuple[str, str, dict[str, Any] | None]:
    method, _, path = line.partition(" ")
    body: dict[str, Any] | None = {} if method in {"POST", "PATCH"} else None
    return method, re.sub(r"\{\w+\}", str(user_id), path), body


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_the_table_is_kept_for_every_route_and_every_kind_of_caller(
    client: httpx2.AsyncClient, container: Container, sign_in: SignIn
) -> None:
    """Nobody, a user about somebody who is there, and one about nobody: 401 and 403 where the table says so."""
    ada, _ = await sign_in({"email": "ada@example.com"})
    alan, _ = await sign_in({"email": "alan@example.com"})
    nobody = {"Authorization": ""}
    for line in sorted(everything()):
        access = TABLE[line]
        if access is Access.ANYONE:
            continue
        with acting_as(SYSTEM):  # anew, as one of the routes ends every login
            _, secret = await container.auth_service().issue(ada.id)
        headers = {"Authorization": f"Bearer {secret}"}
        method, path, body = request_for(line, alan.id)
        if access is not Access.ADMIN_OR_LOOPBACK:  # these requests come from this machine
            assert_problem(await client.request(method, path, json=body, headers=nobody), 401, "not_authenticated")
        if access in {Access.ADMIN, Access.ADMIN_OR_SELF}:
            for id_ in (alan.id, 1, 2**63 - 1):
                method, path, body = request_for(line, id_)
                for extra in ({}, {"If-Match": "*"}):
                    answer = await client.request(method, path, json=body, headers={**headers, **extra})
                    assert_problem(answer, 403, "not_allowed")
        method, path, body = request_for(line, ada.id)
        answer = await client.request(method, path, json=body, headers=headers)
        assert (answer.status_code == 403) is (access is Access.ADMIN), line


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_what_is_not_allowed_is_refused_before_the_body_is_read(
    client: httpx2.AsyncClient, sign_in: SignIn
) -> None:
    _, headers = await sign_in({"email": "ada@example.com"})
    for method, path in (("POST", "/v1/users"), ("POST", "/v1/users/import"), ("PATCH", "/v1/users/1")):
        answer = await client.request(method, path, content=b"{ no JSON", headers=headers)
        assert_problem(answer, 403, "not_allowed")


def test_an_id_of_ones_own_in_another_spelling_is_ones_own() -> None:
    table = AccessTable()
    for path, same in (("/v1/users/007", True), ("/v1/users/7", True), ("/v1/users/７", False), ("/v1/users/", False)):
        listed = table.find("GET", path)
        assert (listed is not None and listed.parameters["user_id"] in {"007", "7"}) is same
    assert table.find("GET", "/v1/users/7/restore") is None

"""What holds for every address: HEAD, OPTIONS, 405, the media types of bodies, and what the query says."""

import re
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from app.api import create_app
from app.api.access import TABLE
from app.api.query_text import LISTS
from containers import Container, running
from database.errors import EngineNotStarted
from settings import Settings
from tests.app.api.conftest import Create, SignIn
from tests.app.api.openapi_document import document
from tests.app.api.problem_document import assert_problem, fields
from tests.app.api.test_access import routes
from tests.fakes import over_fakes

JSON = {"Content-Type": "application/json"}
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
        changing = {"x-request-id", "date"} | ({"content-length"} if path in {"/metrics", "/v1/monitor"} else set())
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


@sqlite_only
async def test_a_merge_patch_is_taken_as_json_is(client: httpx2.AsyncClient, create: Create) -> None:
    path = f"/v1/users/{(await create(email='ada@example.com', display_name='Ada'))['id']}"
    declared = (
        "application/merge-patch+json",
        "Application/Merge-Patch+JSON; charset=UTF-8",
        "application/json",
        'APPLICATION/JSON ; charset="utf-8"',
        "application/json;charset=utf8",
        "application/json; version=1",
    )
    for number, media_type in enumerate(declared):
        body = b'{"display_name": "%d", "phone": null}' % number
        answer = await client.patch(path, content=body, headers={"Content-Type": media_type, "If-Match": "*"})
        assert answer.status_code == 200, media_type
        assert answer.json()["display_name"] == str(number)


@sqlite_only
async def test_other_media_types_are_refused_before_the_body_is_read(
    client: httpx2.AsyncClient, create: Create
) -> None:
    path = f"/v1/users/{(await create(email='ada@example.com'))['id']}"
    refused = (
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json-patch+json",
        "application/vnd.api+json",
        "application/json; charset=iso-8859-1",
        "application/merge-patch+json; charset=utf-16",
        "",
        "nonsense",
        "application/xml",
        "multipart/form-data; boundary=x",
    )
    for media_type in refused:
        headers = {"Content-Type": media_type, "If-Match": "*"}
        answer = await client.patch(path, content=b"{ no JSON", headers=headers)
        assert_problem(answer, 415, "unsupported_media_type")
        assert answer.headers["accept-patch"] == "application/merge-patch+json, application/json"
    for path in ("/v1/users", "/v1/auth/login", "/v1/auth/logout"):
        for media_type in ("application/merge-patch+json", "text/plain"):
            answer = await client.post(path, content=b"{ no JSON", headers={"Content-Type": media_type})
            assert_problem(answer, 415, "unsupported_media_type")
            assert answer.headers["accept"] == "application/json"


@sqlite_only
@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "identity, gzip", "deflate", "aws-chunked"])
async def test_a_coded_body_is_refused_and_told_which_coding_is_read(client: httpx2.AsyncClient, coding: str) -> None:
    for path, media_type in (
        ("/v1/users", "application/json"),
        ("/v1/users/import", "text/csv"),
        ("/v1/auth/login", "application/json"),
    ):
        headers = {"Content-Type": media_type, "Content-Encoding": coding}
        answer = await client.post(path, content=b"\x1f\x8b\x08", headers=headers)
        assert_problem(answer, 415, "unsupported_media_type")
        assert answer.headers["accept-encoding"] == "identity"
    headers = {"Content-Type": "application/json", "Content-Encoding": "identity"}
    answer = await client.post("/v1/users", content=b'{"email": "ada@example.com"}', headers=headers)
    assert answer.status_code == 201
    assert (await client.get("/v1/users/me", headers={"Content-Encoding": coding})).status_code == 200


@pytest.mark.parametrize("typed", ["plus+x@example.com", "plus%2Bx@example.com", "PLUS+X%40example.com"])
async def test_a_plus_in_an_address_is_one_however_it_is_typed(
    client: httpx2.AsyncClient, create: Create, typed: str
) -> None:
    await create(email="plus+x@example.com")
    await create(email="plusx@example.com")
    answer = await client.get(f"/v1/users?limit=1&email={typed}&include_total=true")
    assert [user["email"] for user in answer.json()["items"]] == ["plus+x@example.com"]
    assert answer.json()["total"] == 1


async def test_a_plus_in_a_moment_is_its_offset_and_in_a_name_a_blank(
    client: httpx2.AsyncClient, create: Create
) -> None:
    await create(email="ada@example.com", display_name="Ada Lovelace")
    assert [user["email"] for user in (await client.get("/v1/users?name=ada+love")).json()["items"]] == [
        "ada@example.com"
    ]
    for moment, found in (
        ("2020-01-01T00:00:00+02:00", True),
        ("2020-01-01T00:00:00%2B02:00", True),
        ("2020-01-01T00:00:00+0200", True),
        ("2020-01-01+00:00:00+02:00", True),
        ("2020-01-01+00%3A00%3A00%2B02%3A00", True),
        ("2099-01-01T00:00+14:00", False),
        ("2020-01-01T00%3A00%3A00+02%3A00", True),
    ):
        answer = await client.get(f"/v1/users?name=ada&created_after={moment}")
        assert answer.status_code == 200, answer.text
        assert bool(answer.json()["items"]) is found, moment


async def test_the_next_page_keeps_a_plus(client: httpx2.AsyncClient, create: Create) -> None:
    for number in range(3):
        await create(email=f"u{number}@example.com", display_name="a b")
    first = await client.get("/v1/users?name=a+b&limit=2&created_after=2020-01-01T00:00:00+02:00")
    link = first.headers["link"].partition(">")[0].removeprefix("<")
    assert len((await client.get(link)).json()["items"]) == 1


@sqlite_only
async def test_a_parameter_that_is_given_twice_or_empty_is_refused_by_name(
    client: httpx2.AsyncClient, create: Create
) -> None:
    id_ = (await create(email="ada@example.com"))["id"]
    for query, field in (
        ("email=a@example.com&email=b@example.com", "email"),
        ("limit=1&limit=1", "limit"),
        ("email=", "email"),
        ("phone=", "phone"),
        ("created_after=", "created_after"),
        ("limit=", "limit"),
        ("status=", "status"),
        ("include_deleted=", "include_deleted"),
        ("sort=", "sort"),
        ("name=%CC%81", "name"),
        ("name=+", "name"),
    ):
        problem = assert_problem(await client.get(f"/v1/users?{query}"), 422, "invalid_request")
        assert fields(problem) == [f"query.{field}"], query
    twice = await client.get(f"/v1/users/{id_}?include_deleted=true&include_deleted=false")
    assert fields(assert_problem(twice, 422, "invalid_request")) == ["query.include_deleted"]


def test_every_parameter_that_is_a_list_may_be_given_twice() -> None:
    lists = set()
    for item in document()["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                schema: dict[str, Any] = parameter["schema"]
                kinds = {kind.get("type") for kind in schema.get("anyOf", [schema])}
                if parameter["in"] == "query" and "array" in kinds:
                    lists.add(parameter["name"])
    assert lists == LISTS


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
            problem = assert_problem(answer, 503, "not_started")
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


async def test_an_application_that_mounts_this_one_has_all_of_it_below_its_path() -> None:
    container, _ = over_fakes()
    inner, outer = create_app(container), FastAPI()
    outer.mount("/accounts", inner)
    async with running(container):
        transport = httpx2.ASGITransport(outer)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            for page in ("/accounts/monitor", "/accounts/docs"):
                answer = await client.get(page)
                assert answer.status_code == 200
                sources = re.findall(r'(?:src|href)="([^":]+)"', answer.text)
                assert len(sources) >= 3
                for source in sources:
                    assert (await client.get(str(answer.url.join(source)))).status_code == 200, source
            feed = (await client.get("/accounts/monitor/monitor.js")).text
            assert 'fetch("v1/monitor/feed"' in feed, "relative to /accounts/monitor"
            assert (await client.get("/accounts/v1/monitor/feed")).status_code == 401
            assert (await client.get("/accounts/openapi.json")).json()["servers"] == [{"url": "/accounts"}]
            made = await client.post(
                "/accounts/v1/auth/register", json={"email": "ada@example.com", "password": "correct horse battery"}
            )
            assert made.status_code == 201
            assert made.headers["location"] == f"/accounts/v1/users/{made.json()['id']}"
            assert (await client.put("/accounts/v1/auth/login")).headers["allow"] == "POST, OPTIONS"


async def test_a_prefix_counts_when_a_trusted_proxy_tells_it() -> None:
    container, _ = over_fakes()
    container.settings.override(Settings(database={"url": "sqlite:///x.db"}, http={"trusted_proxies": ("10.0.0.0/8",)}))
    app = create_app(container)
    body = {"password": "correct horse battery"}
    async with running(container):
        for number, (client_address, prefix, expected) in enumerate(
            [
                ("10.0.0.1", "/accounts", "/accounts/v1/users/"),
                ("10.0.0.1", "/a/b/", "/a/b/v1/users/"),
                ("192.0.2.1", "/accounts", "/v1/users/"),
                ("10.0.0.1", "//evil.example", "/v1/users/"),
                ("10.0.0.1", "https://evil.example", "/v1/users/"),
                ("10.0.0.1", '/a"b', "/v1/users/"),
            ]
        ):
            transport = httpx2.ASGITransport(app, client=(client_address, 1))
            async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
                headers = {"X-Forwarded-Prefix": prefix, "X-Forwarded-For": "192.0.2.9"}
                made = await client.post(
                    "/v1/auth/register", json={"email": f"u{number}@example.com", **body}, headers=headers
                )
                assert made.status_code == 201, made.text
                assert made.headers["location"] == f"{expected}{made.json()['id']}"
                document_ = (await client.get("/openapi.json", headers=headers)).json()
                assert document_.get("servers", []) == ([{"url": prefix.rstrip("/")}] if expected[1] == "a" else [])


def test_every_line_of_the_table_is_an_address_of_its_own() -> None:
    assert len({re.sub(r"\{\w+\}", "{}", line) for line in TABLE}) == len(TABLE)

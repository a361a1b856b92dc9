"""The lines of `tests/data/http.json`, made up after public bug reports: what each asks, and how it is answered.

A line is words for people, so each has a function of its own here, under its very text.
"""

import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from app.api import create_app
from containers import Container
from settings import Settings
from tests.app.api.problem_document import READINESS, assert_problem, fields
from tests.app.api.test_access import routes

CSV: Final = {"Content-Type": "text/csv"}
ORIGIN: Final = "https://app.example.com"
"""A page whose calls the API under test allows."""
PASSWORD: Final = "correct horse battery"


@dataclass(frozen=True)
class Http:
    """An API, asked as an admin."""

    client: httpx2.AsyncClient
    settings: Settings
    mounted: Callable[[], AbstractAsyncContextManager[httpx2.AsyncClient]]
    """The API over the same database, mounted under `/accounts` of another application."""

    async def create(self, **body: Any) -> tuple[str, str]:
        """The path and the ETag of a new account."""
        answer = await self.client.post("/v1/users", json=body)
        assert answer.status_code == 201, answer.text
        return f"/v1/users/{answer.json()['id']}", answer.headers["etag"]

    async def found(self, query: str) -> list[str]:
        answer = await self.client.get(f"/v1/users?{query}")
        assert answer.status_code == 200, answer.text
        return [user["email"] for user in answer.json()["items"]]


Line = Callable[[Http], Awaitable[None]]
LINES: Final[dict[str, Line]] = {}


def line(request: str) -> Callable[[Line], Line]:
    def register(function: Line) -> Line:
        assert request not in LINES
        LINES[request] = function
        return function

    return register


@line("GET /v1/users/{id} with If-None-Match: current ETag")
async def known(http: Http) -> None:
    path, etag = await http.create(email="known@example.com")
    answer = await http.client.get(path, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    await http.client.patch(path, json={"display_name": "Ann"}, headers={"If-Match": etag})
    assert (await http.client.get(path, headers={"If-None-Match": etag})).status_code == 200


async def third_version(http: Http, email: str) -> str:
    path, _ = await http.create(email=email)
    for name in ("Ann", "Ann Lee"):
        etag = (await http.client.patch(path, json={"display_name": name}, headers={"If-Match": "*"})).headers["etag"]
    assert etag == '"3"'
    return path


@line('PATCH /v1/users/{id} with If-Match: "7", "3" while the ETag is "3"')
async def any_of_a_list(http: Http) -> None:
    path = await third_version(http, "list@example.com")
    answer = await http.client.patch(path, json={"display_name": "Bo"}, headers={"If-Match": '"7", "3"'})
    assert (answer.status_code, answer.headers["etag"], answer.json()["display_name"]) == (200, '"4"', "Bo")
    answer = await http.client.patch(path, json={"display_name": "Cy"}, headers={"If-Match": '"7", "3"'})
    assert_problem(answer, 412, "stale_version")


@line('PATCH with If-Match: W/"3" while the ETag is "3"')
async def weak(http: Http) -> None:
    path = await third_version(http, "weak@example.com")
    answer = await http.client.patch(path, json={"display_name": "Bo"}, headers={"If-Match": 'W/"3"'})
    detail = assert_problem(answer, 412, "weak_etag")["detail"]
    assert 'a weak tag (W/"3") never matches' in detail
    assert "compress" in detail
    assert (await http.client.get(path)).json()["display_name"] == "Ann Lee"


@line("HEAD on every GET, the health endpoints first")
async def head(http: Http) -> None:
    user, _ = await http.create(email="head@example.com")
    names = {"{user_id}": user.rpartition("/")[2], "/monitor/{name}": "/monitor/monitor.js", "{job_id}": "1"}
    names["/docs/{name}"] = "/docs/docs.js"
    paths = ["/health/live", "/health/ready"]
    for text in sorted(routes(create_app())):
        method, _, path = text.partition(" ")
        for name, value in names.items():
            path = path.replace(name, value)
        paths += [path] * (method == "GET" and path not in paths)
    assert len(paths) >= 15
    for asked in paths:
        answer = await http.client.head(asked)
        assert answer.content == b"", asked
        if asked != "/v1/monitor/feed":  # it has no end
            got = await http.client.get(asked)
            assert (answer.status_code, answer.headers.get("content-type"), answer.headers.get("etag")) == (
                got.status_code,
                got.headers.get("content-type"),
                got.headers.get("etag"),
            )
        assert answer.status_code == (404 if "/jobs/" in asked else 200), asked


@line("PUT /v1/users/{id}")
async def put(http: Http) -> None:
    path, _ = await http.create(email="put@example.com")
    answer = await http.client.put(path, json={"display_name": "Ann"})
    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, PATCH, DELETE, OPTIONS"


@line("GET /v1/users/import")
async def get_import(http: Http) -> None:
    answer = await http.client.get("/v1/users/import")
    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST, OPTIONS"


@line("PATCH with Content-Type: application/merge-patch+json")
async def merge_patch(http: Http) -> None:
    path, _ = await http.create(email="merge@example.com", display_name="Ann")
    headers = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}
    answer = await http.client.patch(path, content=b'{"display_name": null}', headers=headers)
    assert (answer.status_code, answer.json()["display_name"]) == (200, None)
    for method in ("OPTIONS", "PUT"):
        told = (await http.client.request(method, path)).headers
        assert told["accept-patch"] == "application/merge-patch+json, application/json"


@line("GET /v1/users?email=plus+x@example.com, unencoded")
async def plus(http: Http) -> None:
    await http.create(email="plus+x@example.com", display_name="Plus Sign")
    assert await http.found("email=plus+x@example.com") == ["plus+x@example.com"]
    assert await http.found("name=plus+sign&created_after=2020-01-01T00:00:00+02:00") == ["plus+x@example.com"]
    assert await http.found("name=plus+sign&created_after=2099-01-01T00:00:00+02:00") == []


@line("POST /v1/auth/logout with a live access token")
async def log_out(http: Http) -> None:
    nobody = {"Authorization": ""}
    body = {"email": "leaver@example.com", "password": PASSWORD}
    assert (await http.client.post("/v1/auth/register", json=body, headers=nobody)).status_code == 201
    login = {"login": "leaver@example.com", "password": PASSWORD}
    tokens = (await http.client.post("/v1/auth/login", json=login, headers=nobody)).json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await http.client.get("/v1/users/me", headers=bearer)).status_code == 200
    answer = await http.client.post("/v1/auth/logout", json={"token": tokens["access_token"]}, headers=nobody)
    assert answer.status_code == 204
    assert (await http.client.get("/v1/users/me", headers=bearer)).status_code == 401


@line("GET /v1/users/export with Accept: text/csv;q=0, and with TEXT/CSV")
async def export(http: Http) -> None:
    answer = await http.client.get("/v1/users/export", headers={"Accept": "text/csv;q=0"})
    assert_problem(answer, 406, "not_acceptable")
    answer = await http.client.get("/v1/users/export", headers={"Accept": "TEXT/CSV"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert "root@example.com" in answer.text


@line("CORS preflight for Prefer and If-None-Match from a listed origin")
async def preflight(http: Http) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "prefer, if-none-match",
    }
    answer = await http.client.options("/v1/users/import", headers=asked)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, ORIGIN)
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert "prefer" in allowed
    assert "if-none-match" in allowed
    exposed = (await http.client.get("/health/live", headers={"Origin": ORIGIN})).headers
    assert {"Content-Disposition", "Preference-Applied"} <= {
        name.strip() for name in exposed["access-control-expose-headers"].split(",")
    }


@line("POST /v1/users/import as multipart with a field region=US beside the file")
async def multipart(http: Http) -> None:
    file = {"file": ("people.csv", b"email,phone\nform@example.com,(415) 555-0139\n", "text/csv")}
    bare = await http.client.post("/v1/users/import", files=file)
    assert bare.json()["imported"] == 0
    report = (await http.client.post("/v1/users/import", files=file, data={"region": "US"})).json()
    assert (report["imported"], report["rejected"]) == (1, [])
    assert await http.found("phone=%2B14155550139") == ["form@example.com"]
    answer = await http.client.post("/v1/users/import", files=file, data={"regoin": "US"})
    assert fields(assert_problem(answer, 422, "invalid_request")) == ["body.regoin"]


@line("POST with Content-Encoding: gzip")
async def coded(http: Http) -> None:
    for path, media_type in (("/v1/users", "application/json"), ("/v1/users/import", "text/csv")):
        headers = {"Content-Encoding": "gzip", "Content-Type": media_type}
        answer = await http.client.post(path, content=b"\x1f\x8b\x08\0", headers=headers)
        assert_problem(answer, 415, "unsupported_media_type")
        assert answer.headers["accept-encoding"] == "identity"


@line("an app mounted under /accounts: /accounts/monitor")
async def below_a_path(http: Http) -> None:
    async with http.mounted() as client:
        for page in ("/accounts/monitor", "/accounts/docs"):
            answer = await client.get(page)
            assert answer.status_code == 200
            sources = re.findall(r'(?:src|href)="([^":]+)"', answer.text)
            assert any(source.endswith(".css") for source in sources)
            for source in sources:
                assert (await client.get(str(answer.url.join(source)))).status_code == 200, source
        [feed] = re.findall(r'fetch\("([^"]+/feed)"', (await client.get("/accounts/monitor/monitor.js")).text)
        answer = await client.head(str(answer.url.join(feed)))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert (await client.get("/accounts/v1/users")).status_code == 200


@line("any request to an app whose lifespan never ran")
async def not_started(http: Http) -> None:
    transport = httpx2.ASGITransport(create_app(Container(settings=http.settings)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        bearer = {"Authorization": "Bearer gh_any"}
        for path in ("/health/ready", "/v1/users", "/v1/users/me", "/v1/users/export"):
            facts = READINESS if path == "/health/ready" else frozenset()
            answer = await client.get(path, headers=bearer)
            assert "EngineNotStarted" in assert_problem(answer, 503, "not_started", facts=facts)["detail"]


@line("GET /v1/users?name=easley while there is Annie Easley")
async def name(http: Http) -> None:
    await http.create(email="annie@example.com", display_name="Annie Easley")
    for typed in ("easley", "EASLEY", "annie+easley", "e%CC%81asley"):
        assert await http.found(f"name={typed}") == ["annie@example.com"], typed


@line("/docs without internet")
async def docs(http: Http) -> None:
    page = await http.client.get("/docs")
    assert page.status_code == 200
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert not [source for source in sources if source.startswith(("http", "//"))]
    for source in sources:
        if not source.startswith("data:"):
            asset = await http.client.get(str(page.url.join(source)))
            assert asset.status_code == 200, source
            assert asset.content
    policy = page.headers["content-security-policy"]
    assert "http" not in policy
    assert "unsafe" not in policy

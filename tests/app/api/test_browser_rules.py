"""What browsers are told: security headers on every answer, and which pages of others may call."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from starlette.responses import HTMLResponse

from app.api import create_app
from containers import Container, running
from settings import Environment, Settings, SettingsError
from tests.fakes import UNREACHABLE, over_fakes

ORIGIN = "https://app.example.com"


@asynccontextmanager
async def client_with(scheme: str = "http", **values: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """HTTP over fakes, with these settings."""
    container, _ = over_fakes()
    container.settings.override(Settings(database={"url": UNREACHABLE}, **values))
    async with running(container):
        transport = httpx2.ASGITransport(create_app(container))
        async with httpx2.AsyncClient(transport=transport, base_url=f"{scheme}://test") as http:
            yield http


async def test_every_answer_has_security_headers() -> None:
    async with client_with() as client:
        answers = [
            await client.get("/health/live"),
            await client.get("/v1/users"),
            await client.get("/nothing"),
            await client.get("/docs"),
            await client.get("/openapi.json"),
            await client.post("/v1/auth/login", content=b"{", headers={"Content-Type": "application/json"}),
            await client.post("/v1/auth/login", content=b"", headers={"Content-Length": "999999999999"}),
        ]
    assert [answer.status_code for answer in answers] == [200, 401, 404, 200, 200, 400, 413]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == ("no-cache" if answer is answers[3] else "no-store")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "strict-transport-security" not in answer.headers, "over plain HTTP it would be ignored"
        assert "server" not in answer.headers
    scripted = [answer for answer in answers if "script-src" in answer.headers["content-security-policy"]]
    assert scripted == [answers[3]], "the docs alone run a script"
    assert "unsafe" not in answers[3].headers["content-security-policy"]
    assert "http" not in answers[3].headers["content-security-policy"], "nobody else's server is asked"


async def test_over_tls_browsers_are_told_to_stay_there() -> None:
    async with client_with("https") as client:
        answer = await client.get("/health/live")
    assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


async def test_a_header_that_an_endpoint_sets_is_left_alone() -> None:
    container, _ = over_fakes()
    app = create_app(container)

    app.add_route("/page", lambda _: HTMLResponse("", headers={"Content-Security-Policy": "script-src 'self'"}))
    async with (
        running(container),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client,
    ):
        answer = await client.get("/page")
    assert answer.headers.get_list("content-security-policy") == ["script-src 'self'"]


async def preflight(client: httpx2.AsyncClient, origin: str) -> httpx2.Response:
    return await client.options(
        "/v1/users",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "authorization,if-match,content-type",
        },
    )


async def test_pages_of_others_may_not_call_unless_it_is_said() -> None:
    async with client_with() as client:
        for answer in (await preflight(client, ORIGIN), await client.get("/health/live", headers={"Origin": ORIGIN})):
            assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_pages_of_listed_origins_may_call_and_no_others() -> None:
    async with client_with(http={"cors_origins": (ORIGIN,)}) as client:
        allowed = await preflight(client, ORIGIN)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == ORIGIN
        assert "access-control-allow-credentials" not in allowed.headers
        answer = await client.get("/v1/users", headers={"Origin": ORIGIN})
        assert answer.status_code == 401
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "ETag" in answer.headers["access-control-expose-headers"]
        for origin in (
            "https://app.example.com.evil.example", "http://app.example.com", "https://app.example.com:8443",
            "https://evil.example", "https://APP.example.com", "null", "https://app.example.co",
        ):  # fmt: skip
            for refused in (await preflight(client, origin), await client.get("/v1/users", headers={"Origin": origin})):
                assert "access-control-allow-origin" not in refused.headers, origin


async def test_a_page_of_a_listed_origin_may_send_and_read_every_header_that_is_documented() -> None:
    async with client_with(http={"cors_origins": (ORIGIN,)}) as client:
        for name in ("Prefer", "If-None-Match", "If-Match", "Idempotency-Key", "X-Request-ID", "Authorization"):
            for method in ("GET", "HEAD", "POST", "PATCH", "DELETE"):
                asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": name}
                answer = await client.options("/v1/users", headers={"Origin": ORIGIN, **asked})
                assert answer.status_code == 200, (name, method)
                assert name.lower() in answer.headers["access-control-allow-headers"].lower()
                assert answer.headers["vary"].startswith("Origin")
        unknown = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "X-Unknown"}
        assert (await client.options("/v1/users", headers={"Origin": ORIGIN, **unknown})).status_code == 400
        answer = await client.get("/health/live", headers={"Origin": ORIGIN})
        exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
        assert exposed >= {"Content-Disposition", "Preference-Applied", "ETag", "Link", "Location", "Retry-After"}
        assert exposed >= {"X-Request-ID", "Allow", "Accept-Patch"}
        assert answer.headers["vary"] == "Origin"


async def test_credentials_are_allowed_where_it_is_said() -> None:
    async with client_with(http={"cors_origins": (ORIGIN,), "cors_credentials": True}) as client:
        assert (await preflight(client, ORIGIN)).headers["access-control-allow-credentials"] == "true"


@pytest.mark.parametrize("origins", ["*", f"{ORIGIN},*"])
def test_credentials_from_anywhere_are_refused_at_start(origins: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEHOUSE_HTTP__CORS_ORIGINS", origins)
    assert "*" in Settings().http.cors_origins
    monkeypatch.setenv("GATEHOUSE_HTTP__CORS_CREDENTIALS", "true")
    with pytest.raises(SettingsError, match="name the origins"):
        Container().settings()


@pytest.mark.parametrize(
    "origin", ["app.example.com", "https://app.example.com/", "https://App.example.com", "https://", "ftp://a", "x"]
)
def test_an_origin_that_no_browser_sends_is_refused_at_start(origin: str) -> None:
    with pytest.raises(SettingsError, match="an origin is a scheme"):
        Settings(http={"cors_origins": (origin,)})


async def test_production_answers_no_docs() -> None:
    async with client_with(environment=Environment.PRODUCTION, secret_key="k" * 32) as client:
        for path in ("/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"):
            assert (await client.get(path)).status_code == 404

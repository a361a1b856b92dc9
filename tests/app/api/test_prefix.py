"""An application below a path: mounted there, or behind a proxy that has it there."""

import re

import httpx2
from fastapi import FastAPI

from app.api import create_app
from containers import running
from settings import Settings
from tests.fakes import over_fakes


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

"""Details of HTTP over a real server: what a socket sends and gets, byte by byte."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
import uvicorn

from app.api import create_app
from containers import Container
from settings import HttpSettings, Settings
from unitwork.models import SYSTEM, acting_as


class Raw(NamedTuple):
    """A server in this process, and a token of its admin."""

    port: int
    token: str

    async def send(self, request: str, *headers: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        """Status, headers and all bytes of the body, of a request that is sent as it is written."""
        fixed = ("Host: test", "Connection: close", f"Authorization: Bearer {self.token}")
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write("\r\n".join([f"{request} HTTP/1.1", *fixed, *headers, "", ""]).encode("latin-1") + body)
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
        head, _, rest = answer.partition(b"\r\n\r\n")
        status, *fields = head.decode("latin-1").split("\r\n")
        named = dict(field.split(": ", 1) for field in fields)
        return int(status.split()[1]), {name.lower(): value for name, value in named.items()}, rest


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Whoever asks from here is a proxy."""
    return settings.model_copy(update={"http": HttpSettings.model_validate({"trusted_proxies": "127.0.0.0/8"})})


@pytest.fixture
async def raw(container: Container, admin_token: str) -> AsyncIterator[Raw]:
    config = uvicorn.Config(
        create_app(container),
        host="127.0.0.1",
        port=0,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve(None))
    async with asyncio.timeout(20):
        while not server.started:  # noqa: ASYNC110 - uvicorn has a flag, no event
            await asyncio.sleep(0.01)
    yield Raw(server.servers[0].sockets[0].getsockname()[1], admin_token)
    server.should_exit = True
    await task


async def test_what_clients_send_is_answered_as_http_has_it(raw: Raw, container: Container) -> None:
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "plus+x@example.com"})
    path = f"/v1/users/{user.id}"
    for address in ("/health/live", "/health/ready", "/metrics", "/monitor", "/docs", path, "/v1/users/export"):
        status, headers, body = await raw.send(f"HEAD {address}")
        got, get_headers, whole = await raw.send(f"GET {address}")
        assert (status, body, got) == (200, b"", 200), address
        assert whole
        assert headers["content-type"] == get_headers["content-type"]
    for address in ("/nothing", "/v1/nothing"):
        assert (await raw.send(f"HEAD {address}"))[::2] == (404, b"")

    status, headers, body = await raw.send(f"GET {path}", 'If-None-Match: W/"1"')
    assert (status, headers["etag"], body) == (304, '"1"', b"")
    json = ("Content-Type: application/merge-patch+json", "Content-Length: 2")
    assert (await raw.send(f"PATCH {path}", 'If-Match: "7", "1"', *json, body=b"{}"))[0] == 200
    status, _, body = await raw.send(f"PATCH {path}", 'If-Match: W/"1"', *json, body=b"{}")
    assert (status, b"compresses" in body) == (412, True)

    status, headers, _ = await raw.send(f"PUT {path}", "Content-Length: 1", "Content-Type: text/plain", body=b"{")
    assert (status, headers["allow"]) == (405, "GET, HEAD, PATCH, DELETE, OPTIONS")
    status, headers, body = await raw.send(f"OPTIONS {path}")
    assert (status, body, headers["accept-patch"]) == (204, b"", "application/merge-patch+json, application/json")
    assert (await raw.send("GET /v1/users/import"))[0] == 405
    assert (await raw.send(f"GET /v1/users/{user.id}%2Fhistory"))[0] == 404
    assert (await raw.send("GET /v1/users/"))[0] == 404

    for query in ("email=plus+x@example.com", "email=plus%2Bx@example.com", "created_after=2020-01-01T00:00:00+02:00"):
        _, _, body = await raw.send(f"GET /v1/users?{query}")
        assert f'"id":"{user.id}"'.encode() in body, query
    status, _, body = await raw.send("GET /v1/users?limit=1&limit=2")
    assert (status, b"query.limit" in body) == (422, True)

    coded = ("Content-Encoding: gzip", "Content-Type: application/json", "Content-Length: 3")
    status, headers, _ = await raw.send("POST /v1/users", *coded, body=b"\x1f\x8b\x08")
    assert (status, headers["accept-encoding"]) == (415, "identity")

    waiting = ("Expect: 100-continue", "Content-Type: application/json", "Content-Length: 29")
    # Whoever waits to be told sends no body to a refusal, and is told so at once.
    refused, headers, _ = await raw.send("POST /v1/users", "Authorization: none", "Content-Encoding: br", *waiting)
    assert refused in {401, 415}
    status, _, rest = await raw.send("POST /v1/users", *waiting, body=b'{"email": "kay@example.com"}\n')
    assert status == 100
    assert rest.startswith(b"HTTP/1.1 201")

    assert (await raw.send(f"GET {path}", "Range: bytes=0-1", "If-Modified-Since: Fri, 31 Dec 2100 23:59:59 GMT"))[
        0
    ] == 200
    assert "date" in headers

    _, _, page = await raw.send("GET /docs", "X-Forwarded-Prefix: /accounts")
    assert re.findall(rb'(?:src|href)="([^":]+)"', page) == [
        b"docs/swagger-ui.css",
        b"docs/swagger-ui.js",
        b"docs/docs.js",
    ]
    _, _, document = await raw.send("GET /openapi.json", "X-Forwarded-Prefix: /accounts")
    assert b'"servers":[{"url":"/accounts"}]' in document
    status, headers, script = await raw.send("GET /docs/swagger-ui.js")
    assert (status, headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert b"SwaggerUIBundle" in script
    assert (await raw.send("GET /docs/swagger-ui.js", f"If-None-Match: {headers['etag']}"))[::2] == (304, b"")

    logout = f'{{"refresh_token": "{raw.token}"}}'.encode()
    sent = ("Content-Type: application/json", f"Content-Length: {len(logout)}")
    assert (await raw.send("POST /v1/auth/logout", *sent, body=logout))[0] == 204
    assert (await raw.send(f"GET {path}"))[0] == 401

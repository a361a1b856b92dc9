"""What a body may not hold. The answer names the field, and repeats nothing that was sent."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from containers import Container
from tests.app.api.conftest import Create
from tests.app.api.problem_document import assert_problem, fields

one_backend = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
JSON = {"Content-Type": "application/json"}

UNACCEPTABLE: list[tuple[dict[str, Any], str]] = [
    ({"email": "canary at example.com"}, "body.email"),
    ({"email": "canary@"}, "body.email"),
    ({"email": ""}, "body.email"),
    ({"email": "canary\0@example.com"}, "body.email"),
    ({"email": "canary\ud800@example.com"}, "body.email"),
    ({"email": "canary@example.com" + "x" * 300}, "body.email"),
    ({"email": "canary@example.com" + "x" * 2000}, "body.email"),
    ({"email": ["canary@example.com"]}, "body.email"),
    ({"email": 5}, "body.email"),
    ({"phone": "4155550132"}, "body.phone"),
    ({"phone": "+1canary"}, "body.phone"),
    ({"phone": "+14155550132\0"}, "body.phone"),
    ({"phone": "+1"}, "body.phone"),
    ({"email": "a@example.com", "display_name": "canary\0"}, "body.display_name"),
    ({"email": "a@example.com", "display_name": "canary\udfff"}, "body.display_name"),
    ({"email": "a@example.com", "display_name": "canary\r\nSet-Cookie: x"}, "body.display_name"),
    ({"email": "a@example.com", "display_name": "   "}, "body.display_name"),
    ({"email": "a@example.com", "display_name": "c" * 201}, "body.display_name"),
    ({"email": "a@example.com", "role": "canary"}, "body.role"),
    ({"email": "a@example.com", "status": "canary"}, "body.status"),
    ({"email": "a@example.com", "password": "canary"}, "body.password"),
    ({"email": "a@example.com", "password": "canary" * 200}, "body.password"),
    ({"email": "a@example.com", "password": "canarycanary\ud800"}, "body.password"),
    ({"email": "a@example.com", "password": ["canarycanary"]}, "body.password"),
    ({"email": "a@example.com", "password": 12345678}, "body.password"),
    ({"display_name": "canary"}, "body.email"),
    ({}, "body.email"),
    *(
        ({"email": "a@example.com", field: "canary"}, f"body.{field}")
        for field in (
            "id", "password_hash", "created_by", "created_at", "updated_by", "updated_at", "deleted_at", "version",
            "email_key", "is_admin",
        )
    ),
]  # fmt: skip


async def test_a_body_that_is_not_acceptable_names_its_field_and_no_value(
    client: httpx2.AsyncClient, container: Container
) -> None:
    for body, field in UNACCEPTABLE:
        response = await client.post("/v1/users", content=json.dumps(body), headers=JSON)
        code = response.json()["code"]
        assert code in {"invalid_request", "unacceptable"}
        problem = assert_problem(response, 422, code)
        assert fields(problem) == [field], body
        assert "canary" not in response.text
        assert "12345678" not in response.text
    assert await container.user_dao().count(include_deleted=True).rows() == 1


async def test_patch_refuses_what_create_refuses(client: httpx2.AsyncClient, create: Create) -> None:
    user = await create(email="ada@example.com")
    path = f"/v1/users/{user['id']}"
    bodies = [(body, field) for body, field in UNACCEPTABLE if field != "body.password" and "display_name" not in body]
    for body, field in [*bodies[:-1], ({"password": "canarycanary"}, "body.password")]:
        if body:
            response = await client.patch(path, content=json.dumps(body), headers={**JSON, "If-Match": "*"})
            assert response.status_code == 422, body
            assert fields(response.json()) == [field]
            assert "canary" not in response.text
    assert (await client.get(path)).json() == user


@one_backend
async def test_two_faults_are_both_named(client: httpx2.AsyncClient) -> None:
    problem = assert_problem(
        await client.post("/v1/users", json={"role": "boss", "surprise": 1}), 422, "invalid_request"
    )
    assert sorted(fields(problem)) == ["body.role", "body.surprise"]


@one_backend
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE", "POST"])
async def test_an_id_that_is_no_decimal_below_2_to_the_63_is_422(client: httpx2.AsyncClient, method: str) -> None:
    suffix = "/restore" if method == "POST" else ""
    for id_ in (str(2**63), "9" * 30, "-1", "1.5", "abc", "0x10", "1e3", "１２", "1%00", "%20", "me'--"):
        response = await client.request(
            method,
            f"/v1/users/{id_}{suffix}",
            headers={"If-Match": "*"},
            json={} if method == "PATCH" else None,
        )
        problem = assert_problem(response, 422, "invalid_request")
        assert fields(problem) == ["path.user_id"], id_
    largest = await client.get(f"/v1/users/{2**63 - 1}")
    assert_problem(largest, 404, "not_found")


@one_backend
@pytest.mark.parametrize(
    "body", [b"", b"{", b"email=a@example.com", b'{"email": }', b"\xff\xfe", b"[" * 30_000, b'{"a": ' + b"9" * 5000]
)
async def test_a_body_that_is_not_json_is_400(client: httpx2.AsyncClient, body: bytes) -> None:
    response = await client.post("/v1/users", content=body or b" ", headers=JSON)
    assert_problem(response, 400, response.json()["code"])
    assert response.json()["code"] in {"malformed_json", "malformed_body"}


@one_backend
@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "text/json", "application", ""]
)
async def test_a_body_that_is_not_declared_as_json_is_415(
    client: httpx2.AsyncClient, container: Container, media_type: str
) -> None:
    body = b'{"email": "a@example.com"}'
    response = await client.post("/v1/users", content=body, headers={"Content-Type": media_type})
    assert_problem(response, 415, "unsupported_media_type")
    assert await container.user_dao().count().rows() == 1


@one_backend
async def test_a_charset_beside_the_media_type_is_fine(client: httpx2.AsyncClient) -> None:
    response = await client.post(
        "/v1/users",
        content='{"email": "a@example.com"}',
        headers={"Content-Type": "Application/JSON; charset=utf-8"},
    )
    assert response.status_code == 201


@one_backend
async def test_a_body_declared_too_large_is_413_and_not_read(client: httpx2.AsyncClient, container: Container) -> None:
    limit = container.settings().max_body_bytes
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b"x"

    for length in (str(limit + 1), "9" * 30, "9" * 5000):
        response = await client.post("/v1/users", content=body(), headers={**JSON, "Content-Length": length})
        assert_problem(response, 413, "content_too_large")
    assert read == 0


@one_backend
async def test_a_streamed_body_is_counted_and_refused_when_too_large(
    client: httpx2.AsyncClient, container: Container
) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b'{"email": "a@example.com", "display_name": "'
        for _ in range(40):
            yield b"x" * 65_536
        yield b'"}'

    assert_problem(await client.post("/v1/users", content=body(), headers=JSON), 413, "content_too_large")
    assert await container.user_dao().count().rows() == 1


@one_backend
async def test_a_body_as_large_as_allowed_is_read(client: httpx2.AsyncClient, container: Container) -> None:
    limit = container.settings().max_body_bytes
    body = b'{"email": "a@example.com"}'.ljust(limit)
    assert (await client.post("/v1/users", content=body, headers=JSON)).status_code == 201


@one_backend
async def test_headers_beyond_measure_are_431(client: httpx2.AsyncClient) -> None:
    for headers in ({f"X-{number}": "x" for number in range(100)}, {"X-Long": "x" * 32_768}):
        assert_problem(await client.get("/v1/users", headers=headers), 431, "headers_too_large")
    assert (await client.get("/v1/users", headers={"X-Long": "x" * 16_000})).status_code == 200

"""JSON bodies: bounded in size, in the errors that are named, and in what a parser takes."""

import json
import time
from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI

from app.api.access import Access, access_table
from app.api.body_limit import body_limits
from containers import Container
from tests.app.api.problem_document import MEMBERS, assert_problem, fields

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
JSON = {"Content-Type": "application/json"}
DEADLINE_SECONDS = 2.0
"""Generous: each of these takes some milliseconds."""


async def post(client: httpx2.AsyncClient, body: bytes | str, path: str = "/v1/users") -> httpx2.Response:
    begun = time.perf_counter()
    answer = await client.post(path, content=body, headers=JSON)
    assert time.perf_counter() - begun < DEADLINE_SECONDS
    return answer


def unknown(count: int) -> str:
    return json.dumps({"email": "a@example.com", **{f"k{number}": 1 for number in range(count)}})


async def test_at_most_20_errors_are_named_and_all_are_counted(client: httpx2.AsyncClient) -> None:
    problem = assert_problem(await post(client, unknown(105)), 422, "invalid_request", facts=frozenset({"error_count"}))
    assert problem["detail"] == "105 fields are not acceptable; the first 20 are named"
    assert problem["error_count"] == 105
    assert fields(problem) == [f"body.k{number}" for number in range(20)]
    problem = assert_problem(await post(client, unknown(20)), 422, "invalid_request")
    assert problem["detail"] == "20 fields are not acceptable"
    assert len(fields(problem)) == 20


async def test_an_answer_is_small_however_long_the_names_are(client: httpx2.AsyncClient) -> None:
    body = json.dumps({f"{number}" + "ü" * 4000: 1 for number in range(6)}, ensure_ascii=False)[:-1]
    for name in ("x" * 30_000, "\\ud800", "\\udfff" * 1000):
        answer = await post(client, f'{{"email": "a@example.com", "{name}": 1}}')
        assert_problem(answer, 422, "invalid_request")
        assert len(answer.content) < 4000
    assert_problem(await post(client, body + "}"), 413, "content_too_large")
    cut = await post(client, json.dumps({"x" * 500: 1}))
    assert [len(field) for field in fields(cut.json())] == [200]


async def test_the_most_names_that_fit_cost_little(client: httpx2.AsyncClient, container: Container) -> None:
    limit = container.settings().max_body_bytes
    body = "{" + ",".join(f'"{number:x}":1' for number in range(3_400)) + "}"
    assert len(body) <= limit
    for path in ("/v1/users", "/v1/auth/login"):
        answer = await post(client, body, path)
        assert answer.status_code == 422
        assert answer.json()["error_count"] >= 3_400
        assert len(answer.content) < 4000


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 30_000,
        b'{"email":' * 3_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"email": ' + b"9" * 5_000 + b"}",
        b'{"email": NaN}',
        b'{"email": -Infinity}',
        b'{"email": "a@example.com", "email": "b@example.com"}',
        b'\xef\xbb\xbf{"email": "a@example.com"}',
        '{"email": "a@example.com"}'.encode("utf-16"),
        '{"email": "a@example.com"}'.encode("utf-32-le"),
        '{"email": "ü@example.com"}'.encode("latin-1"),
        b"\x80",
        b'{"email": "a@example.com"} x',
        b'{"email": "a\nb"}',
    ],
)
async def test_what_parsers_read_differently_is_400(
    client: httpx2.AsyncClient, container: Container, body: bytes
) -> None:
    answer = await post(client, body)
    assert_problem(answer, 400, answer.json()["code"])
    assert answer.json()["code"] in {"malformed_json", "malformed_body"}
    assert await container.user_dao().count().rows() == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"email": 1e999}',
        b'{"email": ' + b"9" * 4_000 + b"}",
        b'{"email": ' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"surprise": ' + b'{"a":' * 500 + b"1" + b"}" * 501,
        b'{"": 1}',
        b'{"__proto__": {"role": "admin"}}',
        b"[]",
        b"null",
        b'"text"',
        b"1",
    ],
)
async def test_json_of_the_wrong_shape_is_422(client: httpx2.AsyncClient, container: Container, body: bytes) -> None:
    answer = await post(client, body)
    assert answer.status_code == 422, answer.text
    assert set(answer.json()) == MEMBERS
    assert len(answer.content) < 4000
    assert await container.user_dao().count().rows() == 1


async def test_another_charset_is_415(client: httpx2.AsyncClient) -> None:
    for charset in ("utf-16", "latin-1", "nonsense", '"'):
        headers = {"Content-Type": f"application/json; charset={charset}"}
        answer = await client.post("/v1/users", content=b'{"email": "a@example.com"}', headers=headers)
        assert_problem(answer, 415, "unsupported_media_type")


async def test_a_route_of_ones_own_may_take_more(
    app: FastAPI, client: httpx2.AsyncClient, container: Container
) -> None:
    async def size(number: int, body: dict[str, str]) -> int:
        return number + sum(map(len, body.values()))

    app.add_api_route("/v1/texts/{number}", size, methods=["POST"])
    app.router.routes.insert(0, app.router.routes.pop())
    access_table(app).add("POST /v1/texts/{number}", Access.ADMIN)
    usual = container.settings().max_body_bytes
    body = json.dumps({"text": "x" * usual})
    assert_problem(await post(client, body, "/v1/texts/5"), 413, "content_too_large")
    body_limits(app).add("POST /v1/texts/{number}", 2 * usual)
    assert (await post(client, body, "/v1/texts/5")).json() == usual + 5
    assert_problem(await post(client, body + " " * usual, "/v1/texts/5"), 413, "content_too_large")
    assert_problem(await post(client, body, "/v1/users"), 413, "content_too_large")

    async def streamed() -> AsyncIterator[bytes]:
        yield body.encode()
        yield b" " * usual

    answer = await client.post("/v1/texts/5", content=streamed(), headers=JSON)
    assert_problem(answer, 413, "content_too_large")

"""X-Request-ID: every answer names its request, and so does the log."""

import re

import httpx2
import pytest

from containers import Container
from tests.fakes import FailingUsers

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.mark.parametrize("path", ["/health/live", "/v1/users", "/v1/users/abc", "/v1/users/1", "/nothing"])
async def test_a_request_id_is_taken_over_and_echoed(client: httpx2.AsyncClient, path: str) -> None:
    response = await client.get(path, headers={"X-Request-ID": "trace-1:2/3.4_5+6=7"})
    assert response.headers.get_list("x-request-id") == ["trace-1:2/3.4_5+6=7"]
    if response.is_error:
        assert response.json()["request_id"] == "trace-1:2/3.4_5+6=7"


async def test_a_request_id_is_echoed_by_401_413_and_500(client: httpx2.AsyncClient, container: Container) -> None:
    mine = {"X-Request-ID": "mine"}
    answers = [
        await client.get("/v1/users", headers={**mine, "Authorization": ""}),
        await client.post("/v1/users", content=b"", headers={**mine, "Content-Length": "999999999"}),
    ]
    with container.user_dao.override(FailingUsers(RuntimeError("canary"))):
        answers.append(await client.get("/v1/users/1", headers=mine))
    assert [answer.status_code for answer in answers] == [401, 413, 500]
    for answer in answers:
        assert answer.headers["x-request-id"] == answer.json()["request_id"] == "mine"


@pytest.mark.parametrize("sent", [b"", b"a b", b"x" * 129, b"a\tb", b"<script>", b"caf\xe9", b"a;b", b"%0a", b'a"b'])
async def test_an_unacceptable_request_id_is_replaced(client: httpx2.AsyncClient, sent: bytes) -> None:
    response = await client.get("/health/live", headers={b"X-Request-ID": sent})
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])


async def test_each_request_has_an_id_of_its_own(client: httpx2.AsyncClient) -> None:
    ids = {(await client.get("/health/live")).headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20

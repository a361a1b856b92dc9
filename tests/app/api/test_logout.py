"""`POST /v1/auth/logout` with any token (RFC 7009)."""

from typing import Any

import httpx2
import pytest

from containers import Container
from tests.app.api.problem_document import assert_problem, fields
from unitwork.models import SYSTEM, acting_as

PASSWORD = "correct horse battery"
LOGOUT = "/v1/auth/logout"


async def log_in(client: httpx2.AsyncClient) -> dict[str, Any]:
    body = {"email": "ada@example.com", "password": PASSWORD}
    await client.post("/v1/auth/register", json=body)
    tokens: dict[str, Any] = (
        await client.post("/v1/auth/login", json={"login": "ada@example.com", "password": PASSWORD})
    ).json()
    return tokens


async def counts(client: httpx2.AsyncClient, access: str) -> bool:
    status = (await client.get("/v1/users/me", headers={"Authorization": f"Bearer {access}"})).status_code
    assert status in {200, 401}
    return status == 200


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        ("refresh_token", "refresh_token"),
        ("access_token", "refresh_token"),
        ("refresh_token", "token"),
        ("access_token", "token"),
        ("access_token", "bearer"),
        ("refresh_token", "bearer"),
    ],
)
async def test_either_token_ends_its_login_and_no_other(anyone: httpx2.AsyncClient, kind: str, way: str) -> None:
    tokens, others = await log_in(anyone), await log_in(anyone)
    if way == "bearer":
        answer = await anyone.post(LOGOUT, headers={"Authorization": f"Bearer {tokens[kind]}"})
    else:
        answer = await anyone.post(LOGOUT, json={way: tokens[kind], "token_type_hint": kind})
    assert (answer.status_code, answer.content) == (204, b"")
    assert not await counts(anyone, tokens["access_token"])
    refreshed = await anyone.post("/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert refreshed.status_code == 401
    assert await counts(anyone, others["access_token"])


async def test_a_token_without_a_login_is_revoked_alone(anyone: httpx2.AsyncClient, container: Container) -> None:
    tokens = await log_in(anyone)
    user = await container.user_service().find("ada@example.com")
    with acting_as(SYSTEM):
        secrets = [(await container.auth_service().issue(user.id))[1] for _ in range(2)]
    assert (await anyone.post(LOGOUT, json={"token": secrets[0]})).status_code == 204
    assert [await counts(anyone, access) for access in (*secrets, tokens["access_token"])] == [False, True, True]


async def test_a_token_that_does_not_count_is_no_error(anyone: httpx2.AsyncClient, container: Container) -> None:
    tokens = await log_in(anyone)
    for secret in ("gh_unknown", "ghr_unknown", "nonsense", "", "gh_" + "x" * 5000, "gh_\u00e9"):
        assert (await anyone.post(LOGOUT, json={"token": secret})).status_code == 204, secret
    for _ in range(2):
        assert (await anyone.post(LOGOUT, json={"token": tokens["access_token"]})).status_code == 204
    assert (await anyone.post(LOGOUT, headers={"Authorization": "Bearer gh_unknown"})).status_code == 204
    left = await container.token_dao().query().is_null("revoked_at").all()
    user = await container.user_service().find("ada@example.com")
    assert [token for token in left if token.user_id == user.id] == []


async def test_no_token_at_all_is_422(anyone: httpx2.AsyncClient) -> None:
    for body, field in (
        ({}, "body.refresh_token"),
        ({"token": None}, "body.token"),
        ({"token": "a", "all": True}, "body.all"),
    ):
        problem = assert_problem(await anyone.post(LOGOUT, json=body), 422, "invalid_request")
        assert fields(problem) == [field]
    both = await anyone.post(LOGOUT, json={"token": "gh_a", "refresh_token": "ghr_a"})
    assert fields(assert_problem(both, 422, "invalid_request")) == ["body.token"]
    assert fields(assert_problem(await anyone.post(LOGOUT), 422, "invalid_request")) == ["body"]

"""`/v1/users/me`: one's own account."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import httpx2
import pytest

from containers import Container
from domain import Role
from tests.app.api.conftest import SignIn
from tests.app.api.logins import PASSWORD, bearer, login, refresh, register
from tests.app.api.problem_document import assert_problem, fields
from tests.app.api.test_authentication import assert_unauthenticated


async def test_me_is_the_account_of_who_asks_in_one_round_trip(
    client: httpx2.AsyncClient,
    sign_in: SignIn,
    assert_queries: Callable[..., AbstractContextManager[object]],
) -> None:
    user, headers = await sign_in({"email": "ada@example.com"})
    with assert_queries(exactly=1):
        me = await client.get("/v1/users/me", headers=headers)
    by_id = await client.get(f"/v1/users/{user.id}", headers=headers)
    assert me.json() == by_id.json()
    assert me.headers["etag"] == by_id.headers["etag"] == '"1"'


async def test_me_is_changed_with_an_etag(client: httpx2.AsyncClient, sign_in: SignIn) -> None:
    _, headers = await sign_in({"email": "ada@example.com", "display_name": "Ada"})
    change = {"display_name": "Countess"}
    assert_problem(await client.patch("/v1/users/me", json=change, headers=headers), 428, "precondition_required")
    stale = await client.patch("/v1/users/me", json=change, headers={**headers, "If-Match": '"9"'})
    assert_problem(stale, 412, "stale_version")
    malformed = await client.patch("/v1/users/me", json=change, headers={**headers, "If-Match": "1"})
    assert_problem(malformed, 400, "malformed_header")
    changed = await client.patch("/v1/users/me", json=change, headers={**headers, "If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert changed.json()["display_name"] == "Countess"
    assert changed.json()["updated_by"] == changed.json()["id"]
    cleared = await client.patch("/v1/users/me", json={"display_name": None}, headers={**headers, "If-Match": "*"})
    assert cleared.json()["display_name"] is None
    assert (await client.get("/v1/users/me", headers=headers)).json() == cleared.json()


async def test_role_and_status_of_me_are_for_admins(client: httpx2.AsyncClient, sign_in: SignIn) -> None:
    user, headers = await sign_in({"email": "ada@example.com"})
    for body in ({"role": "admin"}, {"status": "active"}, {"role": "user", "display_name": "x"}):
        answer = await client.patch("/v1/users/me", json=body, headers={**headers, "If-Match": "*"})
        assert_problem(answer, 403, "not_allowed")
    assert (await client.get(f"/v1/users/{user.id}")).json()["version"] == 1
    _, admin = await sign_in({"email": "alan@example.com", "role": Role.ADMIN})
    answer = await client.patch("/v1/users/me", json={"role": "user"}, headers={**admin, "If-Match": "*"})
    assert (answer.status_code, answer.json()["role"]) == (200, "user")


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_me_takes_no_field_that_is_not_ones_own_to_set(client: httpx2.AsyncClient) -> None:
    for field in ("id", "is_admin", "deleted_at", "password", "password_hash", "created_by", "version", "email_key"):
        answer = await client.patch("/v1/users/me", json={field: "x"}, headers={"If-Match": "*"})
        assert fields(assert_problem(answer, 422, "invalid_request")) == [f"body.{field}"]


async def test_a_new_password_counts_and_ends_every_login(anyone: httpx2.AsyncClient) -> None:
    await register(anyone)
    mine, other = await login(anyone), await login(anyone)
    answer = await anyone.post(
        "/v1/users/me/password", json={"current": PASSWORD, "new": "another password"}, headers=bearer(mine)
    )
    assert (answer.status_code, answer.content) == (204, b"")
    for tokens in (mine, other):
        assert_unauthenticated(await anyone.get("/v1/users/me", headers=bearer(tokens)))
        assert_problem(await refresh(anyone, tokens), 401, "refresh_refused")
    refused = await anyone.post("/v1/auth/login", json={"login": "ada@example.com", "password": PASSWORD})
    assert_problem(refused, 401, "login_refused")
    await login(anyone, password="another password")


async def test_a_password_is_not_changed_without_the_current_one(
    anyone: httpx2.AsyncClient,
    container: Container,
) -> None:
    user = await register(anyone)
    tokens = await login(anyone)
    before = (await container.user_dao().get(int(user["id"]))).password_hash
    for body, field in (
        ({"current": "wrong password", "new": "another password"}, "body.current"),
        ({"current": PASSWORD, "new": "short"}, "body.new"),
        ({"current": PASSWORD, "new": "x" * 1025}, "body.new"),
        ({"current": PASSWORD}, "body.new"),
        ({"new": "another password"}, "body.current"),
    ):
        answer = await anyone.post("/v1/users/me/password", json=body, headers=bearer(tokens))
        problem = assert_problem(answer, 422, answer.json()["code"])
        assert fields(problem) == [field]
        for word in (PASSWORD, "another", "wrong pass"):
            assert word not in answer.text
    assert (await container.user_dao().get(int(user["id"]))).password_hash == before
    assert (await anyone.get("/v1/users/me", headers=bearer(tokens))).status_code == 200

"""Who may: admins everything, others read and change their own account."""

from typing import Any

import httpx2
import pytest

from domain import Role
from tests.app.api.conftest import Create, SignIn
from tests.app.api.problem_document import assert_problem

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
ANY_VERSION = {"If-Match": "*"}


async def test_administration_is_for_admins(client: httpx2.AsyncClient, sign_in: SignIn, create: Create) -> None:
    user, headers = await sign_in({"email": "ada@example.com"})
    other = await create(email="alan@example.com")
    for method, path, body in [
        ("GET", "/v1/users", None),
        ("GET", "/v1/users?limit=0", None),
        ("POST", "/v1/users", {"email": "new@example.com"}),
        ("POST", "/v1/users", {"nonsense": True}),
        ("DELETE", f"/v1/users/{other['id']}", None),
        ("DELETE", f"/v1/users/{user.id}", None),
        ("POST", f"/v1/users/{user.id}/restore", None),
        ("POST", f"/v1/users/{other['id']}/restore", None),
    ]:
        for extra in ({}, ANY_VERSION):
            response = await client.request(method, path, json=body, headers={**headers, **extra})
            assert_problem(response, 403, "not_allowed")
    assert (await client.get(f"/v1/users/{other['id']}")).json() == other


async def test_another_account_is_403_whether_or_not_it_exists(
    client: httpx2.AsyncClient, sign_in: SignIn, create: Create
) -> None:
    _, headers = await sign_in({"email": "ada@example.com"})
    other = await create(email="alan@example.com")
    gone = await create(email="gone@example.com")
    await client.delete(f"/v1/users/{gone['id']}", headers=ANY_VERSION)

    answers = []
    for id_ in (other["id"], gone["id"], "1", "0", str(2**63 - 1)):
        for method, body in [("GET", None), ("PATCH", {"display_name": "x"}), ("PATCH", {"surprise": 1})]:
            response = await client.request(method, f"/v1/users/{id_}", json=body, headers={**headers, **ANY_VERSION})
            problem = assert_problem(response, 403, "not_allowed")
            answers.append((problem["detail"], problem["errors"]))
    assert len({str(answer) for answer in answers}) == 1


async def test_a_user_reads_and_changes_their_own_account(client: httpx2.AsyncClient, sign_in: SignIn) -> None:
    user, headers = await sign_in({"email": "ada@example.com"})
    path = f"/v1/users/{user.id}"
    read = await client.get(path, headers=headers)
    assert read.json()["email"] == "ada@example.com"
    changed = await client.patch(
        path,
        json={"email": "countess@example.com", "phone": "+14155550132", "display_name": "Countess"},
        headers={**headers, "If-Match": read.headers["etag"]},
    )
    assert changed.status_code == 200
    assert changed.json()["updated_by"] == str(user.id)
    assert changed.json()["created_by"] == "0"


@pytest.mark.parametrize(
    "body", [{"role": "admin"}, {"role": "user"}, {"status": "active"}, {"display_name": "x", "role": "admin"}]
)
async def test_a_user_cannot_change_their_own_role_or_status(
    client: httpx2.AsyncClient, sign_in: SignIn, body: dict[str, Any]
) -> None:
    user, headers = await sign_in({"email": "ada@example.com"})
    before = (await client.get(f"/v1/users/{user.id}")).json()
    response = await client.patch(f"/v1/users/{user.id}", json=body, headers={**headers, **ANY_VERSION})
    assert_problem(response, 403, "not_allowed")
    assert (await client.get(f"/v1/users/{user.id}")).json() == before


async def test_include_deleted_is_for_admins(client: httpx2.AsyncClient, sign_in: SignIn) -> None:
    user, headers = await sign_in({"email": "ada@example.com"})
    response = await client.get(f"/v1/users/{user.id}?include_deleted=true", headers=headers)
    assert_problem(response, 403, "not_allowed")


async def test_a_role_taken_away_counts_at_the_next_request(client: httpx2.AsyncClient, sign_in: SignIn) -> None:
    user, headers = await sign_in({"email": "ada@example.com", "role": Role.ADMIN})
    assert (await client.get("/v1/users", headers=headers)).status_code == 200
    await client.patch(f"/v1/users/{user.id}", json={"role": "user"}, headers=ANY_VERSION)
    assert_problem(await client.get("/v1/users", headers=headers), 403, "not_allowed")

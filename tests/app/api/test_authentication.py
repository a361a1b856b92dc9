"""Who asks: a bearer token, or 401."""

import asyncio
import re
from datetime import timedelta

import httpx2
import pytest
from fastapi import FastAPI

from app.api.access import Access, access_table
from containers import Container
from domain import Role, UserStatus
from tests.app.api.conftest import SignIn
from tests.app.api.problem_document import assert_problem
from unitwork.models import SYSTEM, acting_as


def assert_unauthenticated(response: httpx2.Response) -> None:
    assert_problem(response, 401, "not_authenticated")
    assert response.headers["www-authenticate"] == 'Bearer realm="gatehouse"'


def protected(app: FastAPI) -> list[tuple[str, str]]:
    """Every method and path below /v1 that the application answers, but those for anyone."""
    table, found = access_table(app), []
    for path, operations in app.openapi()["paths"].items():
        for method in operations:
            listed = table.find(method.upper(), path)
            assert listed is not None
            if path.startswith("/v1") and listed.access is not Access.ANYONE:
                found.append((method.upper(), re.sub(r"\{\w+\}", "1", path)))
    return found


async def test_every_route_below_v1_needs_a_token(client: httpx2.AsyncClient, app: FastAPI) -> None:
    routes = protected(app)
    assert len(routes) >= 6
    for method, path in [*routes, ("GET", "/v1/nothing"), ("TRACE", "/v1/users")]:
        response = await client.request(method, path, headers={"Authorization": "", "If-Match": "*"})
        assert_unauthenticated(response)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "header",
    [
        "Bearer gh_unknown",
        "Bearer",
        "Bearer ",
        "gh_unknown",
        "Basic cm9vdDpyb290",
        "Bearer " + "gh_" + "x" * 5000,
        "Bearer ' OR 1=1 --",
        "Bearer gh_é",
        "Bearer gh_\x7f",
    ],
)
async def test_a_token_that_is_none_is_401(client: httpx2.AsyncClient, header: str) -> None:
    assert_unauthenticated(await client.get("/v1/users", headers={b"Authorization": header.encode("latin-1")}))


async def test_the_scheme_is_read_in_any_case(client: httpx2.AsyncClient, admin_token: str) -> None:
    response = await client.get("/v1/users", headers={"Authorization": f"bearer  {admin_token}"})
    assert response.status_code == 200


async def test_an_expired_token_is_401(client: httpx2.AsyncClient, container: Container, sign_in: SignIn) -> None:
    user, _ = await sign_in({"email": "ada@example.com"})
    with acting_as(SYSTEM):
        for lifetime in (timedelta(0), timedelta(seconds=-1)):
            _, secret = await container.auth_service().issue(user.id, lifetime=lifetime)
            assert_unauthenticated(
                await client.get(f"/v1/users/{user.id}", headers={"Authorization": f"Bearer {secret}"})
            )


async def test_a_revoked_token_is_401_at_once(
    client: httpx2.AsyncClient, container: Container, sign_in: SignIn
) -> None:
    user, headers = await sign_in({"email": "ada@example.com"})
    assert (await client.get(f"/v1/users/{user.id}", headers=headers)).status_code == 200
    with acting_as(SYSTEM):
        assert await container.auth_service().revoke(headers["Authorization"].removeprefix("Bearer "))
    assert_unauthenticated(await client.get(f"/v1/users/{user.id}", headers=headers))


async def test_tokens_of_a_deleted_account_are_dead_at_once_and_stay_so_when_it_is_restored(
    client: httpx2.AsyncClient, sign_in: SignIn
) -> None:
    user, headers = await sign_in({"email": "ada@example.com"})
    path = f"/v1/users/{user.id}"
    await client.delete(path, headers={"If-Match": "*"})
    assert_unauthenticated(await client.get(path, headers=headers))
    await client.post(f"{path}/restore", headers={"If-Match": "*"})
    assert_unauthenticated(await client.get(path, headers=headers))


async def test_tokens_of_a_suspended_account_are_dead_at_once_and_stay_so(
    client: httpx2.AsyncClient, sign_in: SignIn
) -> None:
    user, headers = await sign_in({"email": "ada@example.com"})
    path = f"/v1/users/{user.id}"
    for status in (UserStatus.SUSPENDED, UserStatus.ACTIVE):
        await client.patch(path, json={"status": status}, headers={"If-Match": "*"})
        assert_unauthenticated(await client.get(path, headers=headers))


async def test_no_401_tells_why(client: httpx2.AsyncClient, container: Container, sign_in: SignIn) -> None:
    user, headers = await sign_in({"email": "ada@example.com"})
    with acting_as(SYSTEM):
        await container.auth_service().revoke(headers["Authorization"].removeprefix("Bearer "))
    bodies = []
    for authorization in (headers["Authorization"], "Bearer gh_unknown", ""):
        response = await client.get(f"/v1/users/{user.id}", headers={"Authorization": authorization})
        body = response.json()
        del body["request_id"]
        bodies.append(body)
    assert bodies[0] == bodies[1] == bodies[2]


async def test_health_needs_no_token(client: httpx2.AsyncClient) -> None:
    for path in ("/health/live", "/health/ready"):
        assert (await client.get(path, headers={"Authorization": "Bearer nonsense"})).status_code == 200


async def test_the_secret_is_not_in_the_database(container: Container, sign_in: SignIn) -> None:
    user, headers = await sign_in({"email": "ada@example.com"})
    tokens = await container.token_dao().query().eq("user_id", user.id).all()
    secret = headers["Authorization"].removeprefix("Bearer ")
    assert len(tokens) == 1
    assert len(tokens[0].digest) == 64
    assert secret not in str(vars(tokens[0]))


async def test_an_author_is_never_somebody_elses(
    client: httpx2.AsyncClient, container: Container, sign_in: SignIn
) -> None:
    """50 admins create and change accounts at the same time; each row names its own admin."""

    async def work(number: int) -> str:
        admin, headers = admins[number]
        answer = await client.post("/v1/users", json={"email": f"made{number}@example.com"}, headers=headers)
        id_ = answer.json()["id"]
        changer, other = admins[(number + 1) % 50]
        await client.patch(f"/v1/users/{id_}", json={"display_name": "x"}, headers={**other, "If-Match": "*"})
        row = await container.user_dao().get(int(id_))
        assert (row.created_by, row.updated_by) == (admin.id, changer.id)
        return str(id_)

    admins = [await sign_in({"email": f"admin{number}@example.com", "role": Role.ADMIN}) for number in range(50)]
    results = await asyncio.gather(*(work(number) for number in range(50)))
    assert len(set(results)) == 50

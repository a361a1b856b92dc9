"""The logins of an account: seen with their devices, and ended one by one or all others."""

from typing import Any

import httpx2
import pytest

from containers import Container
from tests.app.api.conftest import SignIn
from tests.app.api.logins import PASSWORD, bearer, refresh, register
from unitwork.models import SYSTEM, acting_as

ME = "/v1/users/me/sessions"


async def login_from(client: httpx2.AsyncClient, agent: str) -> dict[str, Any]:
    body = {"login": "ada@example.com", "password": PASSWORD}
    answer = await client.post("/v1/auth/login", json=body, headers={"User-Agent": agent})
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


async def sessions(client: httpx2.AsyncClient, tokens: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await client.get(ME, headers=bearer(tokens))
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_each_login_is_listed_with_its_device_last_used_first(anyone: httpx2.AsyncClient) -> None:
    await register(anyone)
    laptop, phone = await login_from(anyone, "Laptop/2.0"), await login_from(anyone, "Phone/1.0")
    assert [(item["user_agent"], item["current"]) for item in await sessions(anyone, laptop)] == [
        ("Phone/1.0", False), ("Laptop/2.0", True),
    ]  # fmt: skip
    refreshed = await anyone.post(
        "/v1/auth/refresh", json={"refresh_token": laptop["refresh_token"]}, headers={"User-Agent": "Laptop/2.1"}
    )
    first, second = await sessions(anyone, refreshed.json())
    assert (first["user_agent"], first["current"], second["user_agent"]) == ("Laptop/2.1", True, "Phone/1.0")
    assert first["created_at"] < second["created_at"] < first["last_used_at"] < first["expires_at"]
    assert {item["address"] for item in (first, second)} == {"127.0.0.1"}
    assert not {laptop["access_token"], phone["access_token"]} & set(str(first))


async def test_a_login_that_is_ended_is_over_at_the_next_request_and_the_others_go_on(
    anyone: httpx2.AsyncClient,
) -> None:
    await register(anyone)
    laptop, phone = await login_from(anyone, "Laptop"), await login_from(anyone, "Phone")
    (other,) = [item["id"] for item in await sessions(anyone, laptop) if not item["current"]]
    assert (await anyone.delete(f"{ME}/{other}", headers=bearer(laptop))).status_code == 204
    assert (await anyone.get("/v1/users/me", headers=bearer(phone))).status_code == 401
    assert (await refresh(anyone, phone)).status_code == 401
    assert [item["current"] for item in await sessions(anyone, laptop)] == [True]
    again = await anyone.delete(f"{ME}/{other}", headers=bearer(laptop))
    assert (again.status_code, again.json()["code"]) == (404, "not_found")
    assert (await anyone.delete(f"{ME}/NONE", headers=bearer(laptop))).status_code == 422


async def test_all_other_logins_are_ended_at_once(anyone: httpx2.AsyncClient) -> None:
    await register(anyone)
    laptop = await login_from(anyone, "Laptop")
    others = [await login_from(anyone, f"Phone {number}") for number in range(3)]
    assert (await anyone.delete(ME, headers=bearer(laptop))).status_code == 204
    for tokens in others:
        assert (await anyone.get("/v1/users/me", headers=bearer(tokens))).status_code == 401
    assert len(await sessions(anyone, laptop)) == 1
    own = (await sessions(anyone, laptop))[0]["id"]
    assert (await anyone.delete(f"{ME}/{own}", headers=bearer(laptop))).status_code == 204
    assert (await anyone.get(ME, headers=bearer(laptop))).status_code == 401


async def test_nobody_sees_or_ends_another_account_s_logins_but_admins(
    client: httpx2.AsyncClient, container: Container, sign_in: SignIn
) -> None:
    user = await register(client)
    ada = await login_from(client, "Laptop")
    _, eve = await sign_in({"email": "eve@example.com"})
    theirs = f"/v1/users/{user['id']}/sessions"
    (login,) = (await client.get(theirs)).json()["items"]
    for method, path in (("GET", theirs), ("DELETE", theirs), ("DELETE", f"{theirs}/{login['id']}")):
        for headers in (eve, bearer(ada)):
            assert (await client.request(method, path, headers=headers)).status_code == 403, path
    assert (await client.delete(f"{ME}/{login['id']}", headers=eve)).status_code == 404
    assert (await client.get("/v1/users/me", headers=bearer(ada))).status_code == 200
    assert (await client.delete(f"{theirs}/{login['id']}")).status_code == 204
    assert (await client.get("/v1/users/me", headers=bearer(ada))).status_code == 401
    tokens = await login_from(client, "Laptop")
    assert (await client.delete(theirs)).status_code == 204
    assert (await client.get("/v1/users/me", headers=bearer(tokens))).status_code == 401
    assert (await client.get("/v1/users/1/sessions")).status_code == 404


async def test_a_token_of_a_command_is_a_login_of_its_own(
    client: httpx2.AsyncClient, container: Container, sign_in: SignIn
) -> None:
    user, headers = await sign_in({"email": "ann@example.com"})
    with acting_as(SYSTEM):
        await container.auth_service().issue(user.id)
    items = (await client.get(ME, headers=headers)).json()["items"]
    assert [(item["user_agent"], item["address"]) for item in items] == [(None, None)] * 2
    (other,) = [item["id"] for item in items if not item["current"]]
    assert (await client.delete(f"{ME}/{other}", headers=headers)).status_code == 204
    assert len((await client.get(ME, headers=headers)).json()["items"]) == 1


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (b"", None),
        (b"\x7f\x01", None),
        (b"Phone\x1b[31m/1.0", "Phone[31m/1.0"),
        (b"x" * 300, "x" * 200),
        ("Télé/1".encode("latin-1"), "Télé/1"),
    ],
)
async def test_a_device_s_name_is_text_of_a_stranger(
    anyone: httpx2.AsyncClient, sent: bytes, shown: str | None
) -> None:
    await register(anyone)
    body = {"login": "ada@example.com", "password": PASSWORD}
    tokens = (await anyone.post("/v1/auth/login", json=body, headers=[(b"user-agent", sent)])).json()
    assert [item["user_agent"] for item in await sessions(anyone, tokens)] == [shown]

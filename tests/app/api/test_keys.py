"""Keys of programs: narrowed by scopes, revoked at once; and what other services learn of a token (RFC 7662)."""

from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.api.access import TABLE, Access
from app.api.scopes import SCOPES
from containers import Container
from domain import Role, Token, UserStatus
from domain.key import Scope
from tests.app.api.conftest import SignIn
from tests.app.api.logins import PASSWORD, bearer, login, register
from unitwork.models import SYSTEM, acting_as, utc_now
from unitwork.testing import assert_queries

KEYS = "/v1/users/me/keys"


def as_key(made: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {made['secret']}"}


async def make(client: httpx2.AsyncClient, headers: dict[str, str], *scopes: str, **body: Any) -> dict[str, Any]:
    """A personal key of a login that has just begun."""
    answer = await client.post(KEYS, json={"name": "backup", "scopes": list(scopes)} | body, headers=headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def service_key(container: Container, *scopes: Scope, email: str = "svc@example.com") -> str:
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": email, "role": Role.ADMIN})
        _, secret = await container.access_service().issue_key(user.id, name="svc", scopes=scopes, service=True)
    return secret


async def ask(client: httpx2.AsyncClient, caller: str, token: str) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {caller}"}
    return await client.post("/v1/auth/introspect", data={"token": token}, headers=headers)


async def test_a_key_is_shown_once_listed_without_its_secret_and_revoked_at_once(
    anyone: httpx2.AsyncClient, session: AsyncSession
) -> None:
    await register(anyone)
    hers = bearer(await login(anyone))
    made = await make(anyone, hers, "account:read", expires_in_days=30)
    assert made["secret"].startswith("gh_pk_")
    assert (made["name"], made["scopes"], made["service"], made["last_used_at"]) == (
        "backup", ["account:read"], False, None,
    )  # fmt: skip
    me = await anyone.get("/v1/users/me", headers=as_key(made))
    assert (me.status_code, me.json()["email"]) == (200, "Ada@example.com")
    (listed,) = (await anyone.get(KEYS, headers=hers)).json()["items"]
    assert listed.pop("last_used_at") is not None
    assert listed == {name: value for name, value in made.items() if name not in {"secret", "last_used_at"}}
    assert made["secret"] not in str((await session.execute(select(Token.__table__))).all())
    assert (await anyone.delete(f"{KEYS}/{made['id']}", headers=hers)).status_code == 204
    assert (await anyone.get("/v1/users/me", headers=as_key(made))).status_code == 401
    assert (await anyone.get(KEYS, headers=hers)).json() == {"items": []}
    assert (await anyone.delete(f"{KEYS}/{made['id']}", headers=hers)).status_code == 404


async def test_a_key_may_do_what_its_scopes_say_and_its_account_may(
    client: httpx2.AsyncClient, sign_in: SignIn
) -> None:
    _, headers = await sign_in({"email": "ann@example.com"})
    reading, all_ = await make(client, headers, "account:read"), await make(client, headers, *Scope)
    change = {"headers": as_key(reading) | {"If-Match": "*"}, "json": {"display_name": "Ann"}}
    refused = await client.patch("/v1/users/me", **change)  # type: ignore[arg-type]
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    change["headers"] = as_key(all_) | {"If-Match": "*"}
    assert (await client.patch("/v1/users/me", **change)).status_code == 200  # type: ignore[arg-type]
    assert (await client.get("/v1/users", headers=as_key(all_))).status_code == 403, "its account is no admin"
    for method, path in (
        ("POST", "/v1/auth/logout-all"), ("POST", "/v1/users/me/password"), ("GET", KEYS), ("POST", KEYS),
        ("GET", "/v1/users/me/sessions"), ("DELETE", "/v1/users/me/sessions"), ("GET", "/v1/nowhere"),
    ):  # fmt: skip
        assert (await client.request(method, path, headers=as_key(all_))).status_code == 403, path
    contact = {"email": "eve@example.com"}
    stolen = await client.patch("/v1/users/me", headers=as_key(all_) | {"If-Match": "*"}, json=contact)
    assert (stolen.status_code, stolen.json()["code"]) == (401, "fresh_login_needed"), "a key is no fresh login"


async def test_an_admin_s_key_is_bound_by_its_scopes_too(client: httpx2.AsyncClient, container: Container) -> None:
    secret = await service_key(container, Scope.USERS_READ)
    headers = {"Authorization": f"Bearer {secret}"}
    assert (await client.get("/v1/users", headers=headers)).status_code == 200
    assert (await client.head("/v1/users", headers=headers)).status_code == 200
    body = {"email": "new@example.com"}
    assert (await client.post("/v1/users", headers=headers, json=body)).status_code == 403
    assert (await client.get("/v1/audit", headers=headers)).status_code == 403


def test_every_scope_opens_a_line_and_every_line_with_a_scope_is_in_the_access_table() -> None:
    assert set(SCOPES) <= set(TABLE)
    assert set(SCOPES.values()) | {Scope.INTROSPECT} == set(Scope)
    for line in SCOPES:
        assert TABLE[line] is not Access.ANYONE
        assert not any(word in line for word in ("/keys", "/sessions", "/password", "/auth/")), line


async def test_a_personal_key_needs_a_fresh_login_or_the_password(
    client: httpx2.AsyncClient, container: Container, session: AsyncSession
) -> None:
    await register(client)
    hers = bearer(await login(client))
    with acting_as(SYSTEM):
        await session.execute(update(Token).values(logged_in_at=utc_now() - timedelta(hours=1)))
    body: dict[str, Any] = {"name": "backup", "scopes": ["account:read"]}
    stale = await client.post(KEYS, json=body, headers=hers)
    assert (stale.status_code, stale.json()["code"]) == (401, "fresh_login_needed")
    wrong = await client.post(KEYS, json=body | {"current_password": "wrong password"}, headers=hers)
    assert wrong.status_code == 422
    await make(client, hers, "account:read", current_password=PASSWORD)


@pytest.mark.parametrize(
    "body",
    [
        {"name": "", "scopes": ["account:read"]}, {"name": "x", "scopes": []}, {"name": "x", "scopes": ["everything"]},
        {"name": "x" * 101, "scopes": ["account:read"]}, {"name": "a\u0000b", "scopes": ["account:read"]},
        {"name": "x", "scopes": ["account:read"], "expires_in_days": 0},
        {"name": "x", "scopes": ["account:read"], "days": 3}, {"scopes": ["account:read"]},
    ],
)  # fmt: skip
async def test_a_key_that_can_t_be_is_refused(
    client: httpx2.AsyncClient, sign_in: SignIn, body: dict[str, Any]
) -> None:
    _, headers = await sign_in({"email": "ann@example.com"})
    assert (await client.post(KEYS, json=body, headers=headers)).status_code == 422
    assert (await client.get(KEYS, headers=headers)).json() == {"items": []}


async def test_what_ends_all_logins_ends_personal_keys_and_spares_service_keys(
    client: httpx2.AsyncClient, container: Container
) -> None:
    user = await register(client)
    hers = bearer(await login(client))
    personal = await make(client, hers, "account:read")
    theirs = f"/v1/users/{user['id']}/keys"
    made = await client.post(theirs, json={"name": "svc", "scopes": ["account:read"]})
    assert made.status_code == 201, made.text
    service = made.json()
    assert service["secret"].startswith("gh_sk_")
    assert [item["service"] for item in (await client.get(theirs)).json()["items"]] == [False, True]
    assert (await client.delete("/v1/users/me/sessions", headers=hers)).status_code == 204
    assert (await client.get("/v1/users/me", headers=as_key(personal))).status_code == 200, "a key is no login"
    change = {"current": PASSWORD, "new": "another horse battery"}
    assert (await client.post("/v1/users/me/password", json=change, headers=hers)).status_code == 204
    assert (await client.get("/v1/users/me", headers=as_key(personal))).status_code == 401
    assert (await client.get("/v1/users/me", headers=as_key(service))).status_code == 200
    with acting_as(SYSTEM):
        await container.user_service().update(int(user["id"]), {"status": UserStatus.SUSPENDED})
    assert (await client.get("/v1/users/me", headers=as_key(service))).status_code == 401
    with acting_as(SYSTEM):
        await container.user_service().update(int(user["id"]), {"status": UserStatus.ACTIVE})
    assert (await client.get("/v1/users/me", headers=as_key(service))).status_code == 200
    assert (await client.delete(f"{theirs}/{service['id']}")).status_code == 204
    assert (await client.get("/v1/users/me", headers=as_key(service))).status_code == 401


async def test_a_mistyped_key_costs_no_query(client: httpx2.AsyncClient, container: Container) -> None:
    secret = await service_key(container, Scope.USERS_READ)
    at = len(secret) // 2
    mistyped = secret[:at] + ("A" if secret[at] != "A" else "B") + secret[at + 1 :]
    with assert_queries(container, max=0):
        for wrong in (mistyped, secret[:-1], secret + "0", secret[:-1] + "é", "x"):
            answer = await client.get("/v1/users/me", headers={b"Authorization": f"Bearer {wrong}".encode()})
            assert answer.status_code == 401, wrong
    assert (await client.get("/v1/users", headers={"Authorization": f"Bearer {secret}"})).status_code == 200


async def test_a_key_s_use_is_noted_once_a_minute(
    client: httpx2.AsyncClient, container: Container, session: AsyncSession
) -> None:
    secret = await service_key(container, Scope.ACCOUNT_READ)
    headers = {"Authorization": f"Bearer {secret}"}
    assert (await client.get("/v1/users/me", headers=headers)).status_code == 200
    with assert_queries(container, max=1):
        assert (await client.get("/v1/users/me", headers=headers)).status_code == 200
    with acting_as(SYSTEM):
        await session.execute(update(Token).values(last_used_at=utc_now() - timedelta(minutes=2)))
    with assert_queries(container, max=2):
        assert (await client.get("/v1/users/me", headers=headers)).status_code == 200
    with acting_as(SYSTEM):
        (key,) = await container.token_dao().query().eq("kind", "service").all()
    assert key.last_used_at is not None
    assert utc_now() - key.last_used_at < timedelta(minutes=1)


async def test_another_service_asks_about_a_token_in_one_statement(
    anyone: httpx2.AsyncClient, container: Container
) -> None:
    user = await register(anyone)
    tokens = await login(anyone)
    secret = await service_key(container, Scope.INTROSPECT)
    answer = await ask(anyone, secret, tokens["access_token"])
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["active"], told["sub"], told["token_type"], told["role"]) == (True, user["id"], "Bearer", "user")
    assert told["exp"] - told["iat"] == 900
    with assert_queries(container, max=1):
        assert (await ask(anyone, secret, tokens["access_token"])).json()["active"] is True
    assert (await anyone.post("/v1/auth/logout", json={"token": tokens["refresh_token"]})).status_code == 204
    with assert_queries(container, max=1):
        assert (await ask(anyone, secret, tokens["access_token"])).json() == {"active": False}


async def test_a_key_is_told_with_its_scopes_and_what_is_no_access_token_is_inactive(
    anyone: httpx2.AsyncClient, container: Container
) -> None:
    await register(anyone)
    tokens = await login(anyone)
    key = await make(anyone, bearer(tokens), "account:write", "account:read")
    secret = await service_key(container, Scope.INTROSPECT)
    told = (await ask(anyone, secret, key["secret"])).json()
    assert (told["active"], told["scope"], "exp" in told) == (True, "account:read account:write", False)
    for other in (tokens["refresh_token"], "gh_x", "é", key["secret"][:-1], "ghm_" + "A" * 43):
        answer = await ask(anyone, secret, other)
        assert (answer.status_code, answer.json()) == (200, {"active": False}), other
    assert (await ask(anyone, secret, secret)).json()["scope"] == "introspect"


async def test_whoever_may_not_ask_about_tokens_learns_nothing(
    client: httpx2.AsyncClient, container: Container, admin_token: str
) -> None:
    await register(client)
    tokens = await login(client)
    access = tokens["access_token"]
    other = await service_key(container, Scope.USERS_READ)
    assert (await ask(client, admin_token, access)).json()["active"] is True
    for caller, status in ((other, 403), (access, 403), ("gh_x", 401), ("", 401), (tokens["refresh_token"], 401)):
        answer = await ask(client, caller, access)
        assert answer.status_code == status, caller
        assert "active" not in answer.json()
    missing = await client.post("/v1/auth/introspect", data={"x": "y"})
    assert missing.status_code == 422
    wrong = await client.post("/v1/auth/introspect", json={"token": access})
    assert (wrong.status_code, wrong.json()["code"]) == (415, "unsupported_media_type")
    assert "x-www-form-urlencoded" in wrong.json()["detail"]

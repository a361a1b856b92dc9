"""Everything that is kept about a person, as a file for the person: complete, without secrets, and nobody else's."""

from collections.abc import Callable
from typing import Any

import httpx2
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import Mail, Token
from settings.rate_limits import RateLimitSettings
from tests.app.api.conftest import SignIn
from tests.app.api.logins import PASSWORD, bearer, login, register
from tests.app.api.mailbox import Mailbox
from unitwork.audit import AuditEntry

DATA = "/v1/users/me/data"


async def test_a_person_gets_all_that_is_kept_and_no_secret(
    anyone: httpx2.AsyncClient, mailbox: Mailbox, session: AsyncSession
) -> None:
    user = await register(anyone)
    secret = await mailbox.secret("registered")
    assert (await anyone.post("/v1/auth/verify", json={"token": secret})).status_code == 204
    wrong = await anyone.post("/v1/auth/login", json={"login": "ada@example.com", "password": "wrong password"})
    assert wrong.status_code == 401
    tokens = await login(anyone)
    hers = bearer(tokens)
    key = (await anyone.post("/v1/users/me/keys", json={"name": "x", "scopes": ["account:read"]}, headers=hers)).json()
    renamed = {"display_name": "Ada Lovelace"}
    assert (await anyone.patch("/v1/users/me", json=renamed, headers=hers | {"If-Match": "*"})).status_code == 200
    answer = await anyone.get(DATA, headers=hers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == 'attachment; filename="account.json"'
    data = answer.json()
    assert data["account"] == (await anyone.get("/v1/users/me", headers=hers)).json()
    assert [item["kind"] for item in data["tokens"]] == ["access", "refresh", "key"]
    assert (data["tokens"][2]["name"], data["tokens"][2]["expires_at"]) == ("x", None)
    (mail,) = data["mails"]
    assert (mail["kind"], mail["address"], mail["used_at"] is None) == ("registered", "Ada@example.com", False)
    changes = [change["field"] for entry in data["trail"] for change in entry["changes"]]
    assert {"email", "display_name", "email_verified_at"} <= set(changes)
    events = {entry["event"] for entry in data["trail"]}
    assert {"login_refused", "email_verified", "token_issued"} <= events
    for table, items in ((Token, data["tokens"]), (Mail, data["mails"])):
        stored = await session.scalars(select(table.id).where(table.user_id == int(user["id"])))
        assert {item["id"] for item in items} == set(map(str, stored))
    (recorded,) = await session.scalars(select(AuditEntry).where(AuditEntry.event == "data_exported"))
    assert recorded.record_id == int(user["id"])
    for hidden in (PASSWORD, tokens["access_token"], tokens["refresh_token"], key["secret"], secret, "argon2"):
        assert hidden not in answer.text
    assert not {"digest", "salt", "password_hash"} & {name for item in data["tokens"] + data["mails"] for name in item}


async def test_nobody_gets_another_person_s_data_and_a_key_none(anyone: httpx2.AsyncClient, sign_in: SignIn) -> None:
    await register(anyone)
    _, eve = await sign_in({"email": "eve@example.com"})
    answer = await anyone.get(DATA, headers=eve)
    assert answer.json()["account"]["email"] == "eve@example.com"
    assert "ada" not in answer.text.lower()
    body: dict[str, Any] = {"name": "x", "scopes": ["account:read", "account:write"]}
    key = (await anyone.post("/v1/users/me/keys", json=body, headers=eve)).json()
    assert (await anyone.get(DATA, headers={"Authorization": f"Bearer {key['secret']}"})).status_code == 403


async def test_exports_of_one_account_are_limited(
    anyone: httpx2.AsyncClient, sign_in: SignIn, set_options: Callable[..., None]
) -> None:
    set_options(rate_limits=RateLimitSettings(export_account="2/hour").model_dump())
    _, headers = await sign_in({"email": "ann@example.com"})
    assert [(await anyone.get(DATA, headers=headers)).status_code for _ in range(3)] == [200, 200, 429]

"""Security events: a line of the log and a row of the audit trail, which admins and commands read."""

import json
import logging
from typing import Any

import httpx2
import pytest

from app.logs import configure_logs
from containers import Container
from domain import Role
from settings import LogFormat, Settings
from settings.rate_limits import RateLimitSettings
from tests.app.api.conftest import SignIn
from tests.app.api.logins import ADA, PASSWORD, bearer, login, refresh, register
from unitwork.models import SYSTEM, acting_as


async def told(container: Container) -> list[dict[str, Any]]:
    """The rows' facts, oldest first, without those of the fixtures' commands."""
    found = [entry async for entry in container.audit_service().export(events=True)]
    return [
        {"event": entry.event, "id": entry.record_id, "by_user": entry.created_by}
        | {name: values.get("after") for name, values in entry.changes.items()}
        for entry in found
        if entry.changes.get("by") != {"after": "command"}
    ]


async def test_each_event_is_a_row_with_address_and_digest_and_a_line_without_the_person(
    client: httpx2.AsyncClient, container: Container, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gatehouse.security")
    user = await register(client)
    id_ = int(user["id"])
    with acting_as(SYSTEM):  # the last admin who can log in stays one
        await container.user_service().create({"email": "regent@r.example", "role": Role.ADMIN}, password=PASSWORD)
    for body in ({"login": "ada@example.com", "password": "wrong"}, {"login": "no@example.com", "password": "wrong"}):
        assert (await client.post("/v1/auth/login", json=body)).status_code == 401
    used = await login(client)
    tokens = (await refresh(client, used)).json()
    await refresh(client, used)
    tokens = await login(client)
    hers = bearer(tokens) | {"If-Match": "*"}
    assert (await client.patch("/v1/users/me", json={"phone": None}, headers=hers)).status_code == 200
    await client.patch(f"/v1/users/{id_}", json={"role": "admin"}, headers={"If-Match": "*"})
    await client.patch(f"/v1/users/{id_}", json={"role": "user"}, headers={"If-Match": "*"})
    assert (await client.get("/v1/users", headers=bearer(tokens))).status_code == 403
    assert (await client.get("/v1/users", headers=bearer(tokens))).status_code == 403
    change = {"current": PASSWORD, "new": "another password"}
    assert (await client.post("/v1/users/me/password", json=change, headers=bearer(tokens))).status_code == 204
    tokens = await login(client, password="another password")
    await client.post("/v1/auth/logout", json={"refresh_token": tokens["refresh_token"]})
    tokens = await login(client, password="another password")
    await client.post("/v1/auth/logout-all", headers=bearer(tokens))
    await client.patch(f"/v1/users/{id_}", json={"status": "suspended"}, headers={"If-Match": "*"})
    rows = await told(container)
    assert [(row["event"], row.get("by")) for row in rows] == [
        ("login_refused", None), ("login_refused", None), ("token_issued", "login"), ("token_issued", "refresh"),
        ("refresh_reused", None), ("token_issued", "login"), ("contact_changed", None), ("role_changed", None),
        ("role_changed", None), ("not_allowed", "GET for admin"), ("password_changed", None), ("token_issued", "login"),
        ("token_revoked", "logout"), ("token_issued", "login"), ("token_revoked", "logout_all"),
        ("status_changed", None),
    ]  # fmt: skip
    assert {row["address"] for row in rows} == {"127.0.0.1"}
    assert {row["id"] for row in rows} == {id_, None}
    assert len({row["account"] for row in rows}) == 2, "one account, one digest"
    lines = [record for record in caplog.records if record.name == "gatehouse.security"]
    assert len([line for line in lines if "command" not in line.getMessage()]) == len(rows)
    assert all(str(getattr(line, "security_event", "")) for line in lines)
    everything = json.dumps(rows) + caplog.text
    for word in ("ada@", "example.com", "4155550132", PASSWORD, tokens["access_token"]):
        assert word not in everything.lower()


async def test_a_limit_is_told_once_a_minute_for_each_account_and_address(
    anyone: httpx2.AsyncClient, container: Container
) -> None:
    rates = RateLimitSettings(login_account="1/hour", login_address="1000/minute")
    container.settings.override(container.settings().model_copy(update={"rate_limits": rates}))
    try:
        for _ in range(5):
            await anyone.post("/v1/auth/login", json={"login": "ada@example.com", "password": "wrong"})
    finally:
        container.settings.reset_last_overriding()
    rows = [row for row in await told(container) if row["event"] == "limit_reached"]
    assert [row["by"] for row in rows] == ["login_account"]


async def test_what_is_rolled_back_is_told_nowhere(container: Container, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gatehouse.security")
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "ada@example.com"})
        with pytest.raises(RuntimeError, match="after all"):
            async with container.transaction()():
                await container.auth_service().issue(user.id)
                raise RuntimeError("after all")
    assert not [record for record in caplog.records if record.name == "gatehouse.security"]
    assert not [entry async for entry in container.audit_service().export(events=True) if entry.record_id == user.id]


async def test_admins_read_the_trail_page_by_page_and_nobody_else_does(
    client: httpx2.AsyncClient, sign_in: SignIn
) -> None:
    user, headers = await sign_in({"email": "ada@example.com"})
    assert (await client.get("/v1/audit", headers=headers)).status_code == 403
    seen: list[dict[str, Any]] = []
    url = "/v1/audit?limit=1"
    while url:
        page = await client.get(url)
        assert page.status_code == 200, page.text
        seen += page.json()["items"]
        url = page.links["next"]["url"] if page.json()["has_more"] else ""
    mine = [entry for entry in seen if entry["record_id"] == str(user.id)]
    assert [(entry["action"], entry["event"]) for entry in mine] == [
        ("created", None), ("event", "token_issued"), ("event", "not_allowed"),
    ]  # fmt: skip
    events = (await client.get("/v1/audit?events=true")).json()["items"]
    assert {entry["event"] for entry in events} == {"token_issued", "not_allowed"}
    assert (await client.get("/v1/audit?events=true&since=2100-01-01T00:00:00Z")).json()["items"] == []
    assert (await client.get("/v1/audit?since=yesterday")).status_code == 422
    history = (await client.get(f"/v1/users/{user.id}/history")).json()["items"]
    assert [entry["action"] for entry in history] == ["created"], "a history is of changes"


async def test_a_line_is_structured(
    capsys: pytest.CaptureFixture[str], root_logger: logging.Logger, container: Container
) -> None:
    configure_logs(Settings(log_format=LogFormat.JSON))
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "ada@example.com"})
        await container.auth_service().issue(user.id)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if "security_event" in line]
    assert [(line["security_event"], line["by"], len(line["account"])) for line in lines] == [
        ("token_issued", "command", 16)
    ]


async def test_two_anonymous_callers_share_no_idempotency_key(anyone: httpx2.AsyncClient, app: Any) -> None:
    def at(address: str) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.ASGITransport(app, client=(address, 1)), base_url="http://test")

    key = {"Idempotency-Key": "1"}
    async with at("192.0.2.1") as one, at("192.0.2.2") as two:
        first = await one.post("/v1/auth/register", json=ADA, headers=key)
        other = await two.post("/v1/auth/register", json=ADA | {"email": "bob@example.com", "phone": None}, headers=key)
        stolen = await two.post("/v1/auth/register", json=ADA, headers=key)
    assert (first.status_code, other.status_code) == (201, 201), other.text
    assert stolen.status_code == 422
    assert first.json()["id"] not in stolen.text

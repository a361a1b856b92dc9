"""Invitations: whoever is invited chooses a password once, and an admin takes an invitation back, mailed or not."""

from typing import Any

import httpx2
import pytest

from containers import Container
from tests.app.api.logins import bearer, login
from tests.app.api.mailbox import Mailbox, secret_in
from tests.app.api.test_mailed_links import NEW, refused
from unitwork.models import SYSTEM, acting_as


async def test_an_invited_person_chooses_a_password_once(
    client: httpx2.AsyncClient, mailbox: Mailbox, container: Container
) -> None:
    body = {"email": "grace@example.com", "role": "admin", "locale": "de", "invite": True}
    made = await client.post("/v1/users", json=body)
    assert made.status_code == 201, made.text
    path = f"/v1/users/{made.json()['id']}/invitation"
    (mail,) = await mailbox.of("invite", "grace@example.com")
    assert mail["subject"] == "Sie sind eingeladen"
    assert (await client.post(path)).status_code == 202
    first, second = [secret_in(mail) for mail in await mailbox.of("invite")]
    accept = {"token": first, "password": NEW}
    assert refused(await client.post("/v1/auth/invitation/accept", json=accept)), "a new one replaces it"
    assert (await client.delete(path)).status_code == 204
    assert refused(await client.post("/v1/auth/invitation/accept", json=accept | {"token": second}))
    assert (await client.post(path)).status_code == 202
    accept["token"] = await mailbox.secret("invite")
    assert (await client.post("/v1/auth/invitation/accept", json=accept)).status_code == 204
    assert refused(await client.post("/v1/auth/invitation/accept", json=accept))
    me = await client.get("/v1/users/me", headers=bearer(await login(client, "grace@example.com", NEW)))
    assert (me.json()["role"], me.json()["email_verified_at"] is None) == ("admin", False)
    again = await client.post(path)
    assert (again.status_code, again.json()["code"]) == (409, "already_accepted")
    assert (await client.post("/v1/users/1/invitation")).status_code == 404


async def test_an_invitation_that_was_revoked_before_it_was_mailed_is_not_mailed(
    client: httpx2.AsyncClient, mailbox: Mailbox
) -> None:
    made = await client.post("/v1/users", json={"email": "grace@example.com", "invite": True})
    assert (await client.delete(f"/v1/users/{made.json()['id']}/invitation")).status_code == 204
    assert await mailbox.deliver() == []


@pytest.mark.parametrize("later", [False, True])
async def test_an_import_invites_those_that_it_adds(
    client: httpx2.AsyncClient, container: Container, mailbox: Mailbox, later: bool
) -> None:
    with acting_as(SYSTEM):
        await container.user_service().create({"email": "there@example.com"})
    rows = "email,phone,status\nann@example.com,,\nthere@example.com,,\n,+14155550132,\nbob@example.com,,suspended\n"
    headers = {"Content-Type": "text/csv"} | ({"Prefer": "respond-async"} if later else {})
    columns = [("column", "email=email"), ("column", "phone=phone"), ("column", "status=status")]
    for dry_run in ("true", "false"):
        params: list[Any] = [("invite", "true"), ("dry_run", dry_run), *columns]
        answer = await client.post("/v1/users/import", params=params, content=rows.encode(), headers=headers)
        assert answer.status_code == (202 if later else 200), answer.text
        await mailbox.deliver()
        if dry_run == "true":
            assert await mailbox.deliver() == []
    (mail,) = await mailbox.deliver()
    assert (mail["kind"], mail["address"]) == ("invite", "ann@example.com")
    accept = {"token": secret_in(mail), "password": NEW}
    assert (await client.post("/v1/auth/invitation/accept", json=accept)).status_code == 204
    await login(client, "ann@example.com", NEW)

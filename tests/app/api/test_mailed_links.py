"""Verification, recovery and invitations over HTTP: a link counts once, for its address; strangers learn nothing."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container
from domain import Mail, OutboxMessage, Token, User, UserStatus
from settings.rate_limits import RateLimitSettings
from tests.app.api.logins import PASSWORD, bearer, login, register
from tests.app.api.mailbox import Mailbox, secret_in
from unitwork.audit import AuditEntry
from unitwork.models import SYSTEM, acting_as, utc_now
from unitwork.testing import assert_queries

NEW = "another horse battery"
REFUSED = "this link doesn't count, or no longer; ask for a new mail"


async def verify(client: httpx2.AsyncClient, secret: str) -> httpx2.Response:
    return await client.post("/v1/auth/verify", json={"token": secret})


async def confirm(client: httpx2.AsyncClient, secret: str, password: str = NEW) -> httpx2.Response:
    return await client.post("/v1/auth/recover/confirm", json={"token": secret, "password": password})


def refused(answer: httpx2.Response) -> bool:
    return (answer.status_code, answer.json().get("code")) == (401, "link_refused") if answer.content else False


async def verified(anyone: httpx2.AsyncClient, mailbox: Mailbox) -> tuple[dict[str, Any], dict[str, str]]:
    """Ada, registered and verified; and headers of a login of hers."""
    user = await register(anyone)
    assert (await verify(anyone, await mailbox.secret("registered"))).status_code == 204
    return user, bearer(await login(anyone))


async def test_a_registered_address_is_proven_by_the_link_of_its_mail(
    anyone: httpx2.AsyncClient, mailbox: Mailbox
) -> None:
    user = await register(anyone, display_name="Follow http://evil.example", locale="de-at")
    assert (user["email_verified_at"], user["locale"]) == (None, "de-AT")
    (mail,) = await mailbox.deliver()
    assert (mail["kind"], mail["address"], mail["user_id"]) == ("registered", "Ada@example.com", user["id"])
    assert mail["subject"] == "Willkommen: bestätigen Sie Ihre E-Mail-Adresse"
    assert "evil" not in mail["text"] + mail["html"]
    assert f"http://localhost:8000/verify#{secret_in(mail)}" in mail["text"]
    assert (await verify(anyone, secret_in(mail))).status_code == 204
    me = (await anyone.get("/v1/users/me", headers=bearer(await login(anyone)))).json()
    assert me["email_verified_at"] is not None
    assert refused(await verify(anyone, secret_in(mail))), "it counts once"
    requested = await anyone.post("/v1/auth/verify/request", json={"login": "ada@example.com"})
    assert (requested.status_code, requested.json()) == (202, {"status": "accepted"})
    assert len(await mailbox.deliver()) == 1, "there is nothing left to prove"


@pytest.mark.parametrize("text", ["", "x", "ghm_", "ghm_" + "A" * 43, "ghm_" + "é" * 43, "gh_" + "A" * 44])
async def test_a_text_that_is_no_secret_is_refused_alike_everywhere(anyone: httpx2.AsyncClient, text: str) -> None:
    for path in ("verify", "recover/confirm", "invitation/accept"):
        body = {"token": text} | ({} if path == "verify" else {"password": NEW})
        answer = await anyone.post(f"/v1/auth/{path}", json=body)
        assert refused(answer), path
        assert answer.json()["detail"] == REFUSED


async def test_a_secret_is_for_its_own_purpose_only(anyone: httpx2.AsyncClient, mailbox: Mailbox) -> None:
    await register(anyone)
    secret = await mailbox.secret("registered")
    assert refused(await confirm(anyone, secret))
    assert refused(await anyone.post("/v1/auth/invitation/accept", json={"token": secret, "password": NEW}))
    await anyone.post("/v1/auth/recover", json={"login": "ada@example.com"})
    assert refused(await verify(anyone, await mailbox.secret("recover")))
    assert (await verify(anyone, secret)).status_code == 204


async def test_a_proven_address_is_replaced_once_the_new_one_is_proven_and_the_old_one_is_told(
    anyone: httpx2.AsyncClient, mailbox: Mailbox
) -> None:
    _, hers = await verified(anyone, mailbox)
    change = {"email": "countess@example.com", "current_password": PASSWORD}
    changed = await anyone.patch("/v1/users/me", json=change, headers=hers | {"If-Match": "*"})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["email"], changed.json()["pending_email"]) == ("Ada@example.com", "countess@example.com")
    await login(anyone, "ada@example.com")
    wrong = await anyone.post("/v1/auth/login", json={"login": "countess@example.com", "password": PASSWORD})
    assert wrong.status_code == 401, "it doesn't count yet"
    (asked,) = await mailbox.of("verify")
    assert asked["address"] == "countess@example.com"
    assert await mailbox.of("address_changed") == []
    assert (await verify(anyone, secret_in(asked))).status_code == 204
    assert (await anyone.get("/v1/users/me", headers=hers)).status_code == 401, "every login has ended"
    me = (await anyone.get("/v1/users/me", headers=bearer(await login(anyone, "countess@example.com")))).json()
    assert (me["email"], me["pending_email"]) == ("countess@example.com", None)
    (told,) = await mailbox.of("address_changed")
    assert told["address"] == "Ada@example.com"


async def test_a_pending_address_that_is_withdrawn_or_replaced_is_proven_by_no_older_link(
    anyone: httpx2.AsyncClient, mailbox: Mailbox
) -> None:
    _, hers = await verified(anyone, mailbox)
    secrets = []
    for address in ("one@example.com", "two@example.com", "Ada@example.com"):
        body = {"email": address, "current_password": PASSWORD}
        answer = await anyone.patch("/v1/users/me", json=body, headers=hers | {"If-Match": "*"})
        assert answer.status_code == 200
        secrets = [secret_in(mail) for mail in await mailbox.of("verify")]
        if address == "two@example.com":
            assert refused(await verify(anyone, secrets[0]))
    assert answer.json()["pending_email"] is None
    assert all([refused(await verify(anyone, secret)) for secret in secrets])


async def test_an_address_that_somebody_took_meanwhile_is_a_conflict_and_the_link_stays_good(
    client: httpx2.AsyncClient, container: Container, mailbox: Mailbox
) -> None:
    _, hers = await verified(client, mailbox)
    body = {"email": "two@example.com", "current_password": PASSWORD}
    assert (await client.patch("/v1/users/me", json=body, headers=hers | {"If-Match": "*"})).status_code == 200
    with acting_as(SYSTEM):
        other = await container.user_service().create({"email": "TWO@example.com"})
    secret = await mailbox.secret("verify")
    taken = await verify(client, secret)
    assert (taken.status_code, taken.json()["code"]) == (409, "email_taken")
    with acting_as(SYSTEM):
        await container.user_service().purge(other.id)
    assert (await verify(client, secret)).status_code == 204


async def test_recovery_sets_the_password_ends_every_login_and_tells_the_owner(
    anyone: httpx2.AsyncClient, mailbox: Mailbox, session: AsyncSession
) -> None:
    user, hers = await verified(anyone, mailbox)
    tokens = await login(anyone)
    for contact in ("ADA@example.com", "+14155550132"):
        answer = await anyone.post("/v1/auth/recover", json={"login": contact})
        assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    first, second = await mailbox.of("recover", "Ada@example.com")
    for password, fault in ((PASSWORD[:5], "is shorter"), ("iloveyou1", "most common"), ("ada@example.com", "own")):
        weak = await confirm(anyone, secret_in(first), password)
        assert weak.status_code == 422
        assert fault in weak.json()["errors"][0]["message"]
    assert (await confirm(anyone, secret_in(first))).status_code == 204
    assert refused(await confirm(anyone, secret_in(first)))
    assert refused(await confirm(anyone, secret_in(second))), "one recovery uses up all"
    assert (await anyone.get("/v1/users/me", headers=hers)).status_code == 401
    refresh = await anyone.post("/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert refresh.status_code == 401
    await login(anyone, password=NEW)
    (told,) = await mailbox.of("password_changed")
    assert told["address"] == "Ada@example.com"
    entries = (await session.scalars(select(AuditEntry).where(AuditEntry.event.is_not(None)))).all()
    assert {"recovery_requested", "email_verified", "password_changed"} <= {entry.event for entry in entries}
    (changed,) = [entry for entry in entries if entry.event == "password_changed"]
    assert (changed.record_id, changed.created_by) == (int(user["id"]), int(user["id"]))


async def test_a_recovery_proves_the_address(anyone: httpx2.AsyncClient, mailbox: Mailbox) -> None:
    await register(anyone)
    await anyone.post("/v1/auth/recover", json={"login": "ada@example.com"})
    assert (await confirm(anyone, await mailbox.secret("recover"))).status_code == 204
    me = (await anyone.get("/v1/users/me", headers=bearer(await login(anyone, password=NEW)))).json()
    assert me["email_verified_at"] is not None


async def test_a_link_ends_with_its_time_its_account_and_its_address(
    anyone: httpx2.AsyncClient, container: Container, mailbox: Mailbox, session: AsyncSession
) -> None:
    user = await register(anyone)
    id_ = int(user["id"])
    await anyone.post("/v1/auth/recover", json={"login": "ada@example.com"})
    recover, prove = await mailbox.secret("recover"), await mailbox.secret("registered")
    with acting_as(SYSTEM):
        await container.user_service().update(id_, {"email": "moved@example.com"})
        assert refused(await confirm(anyone, recover))
        assert refused(await verify(anyone, prove))
        await container.user_service().update(id_, {"email": "ada@example.com", "status": UserStatus.SUSPENDED})
        assert refused(await confirm(anyone, recover))
        await container.user_service().update(id_, {"status": UserStatus.ACTIVE})
        await container.user_service().delete(id_)
        assert refused(await confirm(anyone, recover))
        await container.user_service().restore(id_)
        await session.execute(update(Mail).values(expires_at=utc_now()))
    assert refused(await confirm(anyone, recover))
    assert refused(await verify(anyone, prove))


async def test_whoever_may_not_be_mailed_is_mailed_nothing(
    anyone: httpx2.AsyncClient, container: Container, mailbox: Mailbox
) -> None:
    with acting_as(SYSTEM):
        users = container.user_service()
        for name, changes in (("gone", {}), ("quiet", {"status": UserStatus.SUSPENDED})):
            user = await users.create({"email": f"{name}@example.com"} | changes, password=PASSWORD)  # type: ignore[arg-type]
            if name == "gone":
                await users.delete(user.id)
        await users.create({"email": "open@example.com"})
        await users.create({"phone": "+14155550199"}, password=PASSWORD)
    for contact in ("gone@example.com", "quiet@example.com", "nobody@example.com", "open@example.com", "+14155550199"):
        answer = await anyone.post("/v1/auth/recover", json={"login": contact})
        assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    assert await mailbox.deliver() == []


@pytest.mark.parametrize("path", ["recover", "verify/request"])
async def test_a_request_for_a_mail_takes_the_same_work_and_answer_whoever_it_is_for(
    anyone: httpx2.AsyncClient, container: Container, path: str
) -> None:
    with acting_as(SYSTEM):
        users = container.user_service()
        for name in ("unverified", "verified", "deleted", "suspended"):
            user = await users.create({"email": f"{name}@example.com"}, password=PASSWORD)
            if name == "verified":
                await container.address_proofs().mark_verified(user.id)
            if name == "deleted":
                await users.delete(user.id)
            if name == "suspended":
                await users.update(user.id, {"status": UserStatus.SUSPENDED})
        await users.create({"email": "passwordless@example.com"})
    seen = []
    for name in ("unknown", "unverified", "verified", "deleted", "suspended", "passwordless"):
        with assert_queries(container, exactly=3) as queries:  # the look, the message, the event
            answer = await anyone.post(f"/v1/auth/{path}", json={"login": f"{name}@example.com"})
        headers = sorted((name, value) for name, value in answer.headers.items() if name != "x-request-id")
        seen.append((answer.status_code, answer.text, headers, [query.statement for query in queries]))
    assert seen[0][0] == 202
    assert seen == [seen[0]] * len(seen)


async def test_a_stranger_s_requests_store_no_contact_and_spoil_no_link(
    anyone: httpx2.AsyncClient, mailbox: Mailbox, session: AsyncSession
) -> None:
    await register(anyone)
    await anyone.post("/v1/auth/recover", json={"login": "ada@example.com"})
    first = await mailbox.secret("recover")
    for _ in range(3):
        await anyone.post("/v1/auth/recover", json={"login": "ada@example.com"})
    await anyone.post("/v1/auth/recover", json={"login": "stranger@example.com"})
    payloads = [message.payload for message in await session.scalars(select(OutboxMessage))]
    assert payloads
    assert all(payload.keys() == {"user_id", "kind"} for payload in payloads)
    await mailbox.deliver()
    assert (await confirm(anyone, first)).status_code == 204


async def test_mails_to_one_account_and_from_one_address_are_limited(
    anyone: httpx2.AsyncClient, container: Container, set_options: Callable[..., None]
) -> None:
    limits = {"recover_account_address": "2/hour", "recover_address": "5/hour", "verify_account": "1/hour"}
    set_options(rate_limits=RateLimitSettings.model_validate(limits).model_dump())
    asked = [(await anyone.post("/v1/auth/recover", json={"login": f"{n}@example.com"})) for n in (1, 1, 1, 2, 3, 4)]
    assert [answer.status_code for answer in asked] == [202, 202, 429, 202, 202, 429]
    assert asked[2].json()["code"] == "too_many_attempts"
    asked = [(await anyone.post("/v1/auth/verify/request", json={"login": "1@example.com"})) for _ in range(2)]
    assert [answer.status_code for answer in asked] == [202, 429]


async def test_an_unverified_account_logs_in_only_where_that_is_allowed(
    anyone: httpx2.AsyncClient, mailbox: Mailbox, set_options: Callable[..., None]
) -> None:
    await register(anyone)
    await login(anyone)
    set_options(tokens={"unverified_login": False})
    wrong = await anyone.post("/v1/auth/login", json={"login": "ada@example.com", "password": "wrong password"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "login_refused"), "a stranger learns nothing"
    right = await anyone.post("/v1/auth/login", json={"login": "ada@example.com", "password": PASSWORD})
    assert (right.status_code, right.json()["code"]) == (403, "address_unverified")
    assert (await verify(anyone, await mailbox.secret("registered"))).status_code == 204
    await login(anyone)
    await register(anyone, email=None, phone="+12025550173")
    await login(anyone, "+12025550173")


async def test_a_quiet_registration_answers_alike_and_tells_the_owner_by_mail(
    anyone: httpx2.AsyncClient, mailbox: Mailbox, set_options: Callable[..., None], session: AsyncSession
) -> None:
    set_options(accounts={"registration_tells": False})
    bodies = [
        {"email": "ada@example.com", "phone": "+14155550132"}, {"email": "ADA@example.com"}, {"phone": "+14155550132"},
        {"email": "eve@example.com", "phone": "+14155550132"},
    ]  # fmt: skip
    answers = [await anyone.post("/v1/auth/register", json=body | {"password": PASSWORD}) for body in bodies]
    facts = {(answer.status_code, answer.text, tuple(sorted(answer.headers.keys()))) for answer in answers}
    assert len(facts) == 1, facts
    assert (answers[0].status_code, answers[0].json()) == (202, {"status": "accepted"})
    emails = set(await session.scalars(select(User.email)))
    assert "ada@example.com" in emails
    assert "eve@example.com" not in emails
    assert [(mail["kind"], mail["address"]) for mail in await mailbox.deliver()] == [
        ("registered", "ada@example.com"), ("address_taken", "ada@example.com"),
    ]  # fmt: skip
    weak = await anyone.post("/v1/auth/register", json={"email": "ada@example.com", "password": "iloveyou1"})
    assert weak.status_code == 422


@pytest.mark.database("own")
async def test_a_secret_that_fifty_use_at_once_counts_once(
    anyone: httpx2.AsyncClient, container: Container, mailbox: Mailbox, session: AsyncSession
) -> None:
    await register(anyone)
    await anyone.post("/v1/auth/recover", json={"login": "ada@example.com"})
    secret = await mailbox.secret("recover")
    passwords = [f"racing horse {number}" for number in range(50)]
    pool = container.settings().database.pool_size
    gate = asyncio.Semaphore(pool)

    async def race(password: str) -> int:
        async with gate:
            return (await confirm(anyone, secret, password)).status_code

    codes = await asyncio.gather(*(race(password) for password in passwords))
    assert sorted(codes) == [204] + [401] * 49
    await login(anyone, password=passwords[codes.index(204)])
    assert len(await mailbox.of("password_changed")) == 1


@pytest.mark.database("own")
async def test_a_login_that_meets_a_recovery_comes_before_it_and_is_ended_or_fails(
    anyone: httpx2.AsyncClient, mailbox: Mailbox, session: AsyncSession
) -> None:
    user = await register(anyone)
    password = PASSWORD
    for number in range(6):
        await anyone.post("/v1/auth/recover", json={"login": "ada@example.com"})
        secret, chosen = await mailbox.secret("recover"), f"chosen horse {number}"
        body = {"login": "ada@example.com", "password": password}
        attempts = [anyone.post("/v1/auth/login", json=body) for _ in range(3)]
        done, *logins = await asyncio.gather(confirm(anyone, secret, chosen), *attempts)
        assert done.status_code == 204
        assert {answer.status_code for answer in logins} <= {200, 401}
        tokens = await session.scalars(select(Token).where(Token.user_id == int(user["id"])))
        assert not [token for token in tokens if token.live(utc_now())], f"round {number}"
        session.expire_all()
        password = chosen


async def test_old_mails_are_purged_with_old_tokens(
    anyone: httpx2.AsyncClient, container: Container, mailbox: Mailbox, session: AsyncSession
) -> None:
    await register(anyone)
    await mailbox.deliver()
    with acting_as(SYSTEM):
        await session.execute(update(Mail).values(expires_at=utc_now() - timedelta(days=8)))
        assert await container.retention_service().purge_tokens() == 1
    assert (await session.scalars(select(Mail))).all() == []

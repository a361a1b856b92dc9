"""Another e-mail address, phone number or password: by its owner, who proves it, and the other logins end."""

from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from containers import Container
from domain import Role, Token
from tests.app.api.conftest import Create, SignIn
from tests.app.api.logins import PASSWORD, bearer, login, refresh, register
from tests.app.api.problem_document import assert_problem, fields
from tests.app.api.test_authentication import assert_unauthenticated
from unitwork.models import SYSTEM, acting_as, utc_now

CHANGES: Any = [{"email": "countess@example.com"}, {"phone": "+12025550173"}, {"phone": None}]


async def grown_old(container: Container, age: timedelta = timedelta(minutes=11)) -> None:
    """Every login began that long ago."""
    with acting_as(SYSTEM):
        async with container.transaction()() as transaction:
            await transaction.session.execute(update(Token).values(logged_in_at=utc_now() - age))


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("path", ["/v1/users/me", "/v1/users/{}"])
async def test_contacts_change_by_the_password_or_a_fresh_login_and_end_the_other_logins(
    anyone: httpx2.AsyncClient, container: Container, change: dict[str, Any], path: str
) -> None:
    user = await register(anyone)
    path = path.format(user["id"])
    mine, other = await login(anyone), await login(anyone)
    await grown_old(container)
    mine = (await refresh(anyone, mine)).json()
    hers = bearer(mine) | {"If-Match": "*"}
    refused = await anyone.patch(path, json=change, headers=hers)
    assert_problem(refused, 401, "fresh_login_needed")
    assert 'error="insufficient_user_authentication", max_age="600"' in refused.headers["www-authenticate"]
    wrong = await anyone.patch(path, json=change | {"current_password": "wrong password"}, headers=hers)
    assert fields(assert_problem(wrong, 422, "unacceptable")) == ["body.current_password"]
    assert (await anyone.get("/v1/users/me", headers=hers)).json()["version"] == 1
    changed = await anyone.patch(path, json=change | {"current_password": PASSWORD}, headers=hers)
    assert changed.status_code == 200, changed.text
    assert changed.json() | change == changed.json()
    assert "password" not in changed.text
    assert (await anyone.get("/v1/users/me", headers=hers)).status_code == 200, "the login that changed it goes on"
    assert (await refresh(anyone, mine)).status_code == 200
    assert_unauthenticated(await anyone.get("/v1/users/me", headers=bearer(other)))
    assert_problem(await refresh(anyone, other), 401, "refresh_refused")


async def test_a_fresh_login_needs_no_password(anyone: httpx2.AsyncClient) -> None:
    await register(anyone)
    hers = bearer(await login(anyone)) | {"If-Match": "*"}
    assert (await anyone.patch("/v1/users/me", json=CHANGES[0], headers=hers)).status_code == 200


async def test_what_is_no_other_contact_needs_nothing_and_ends_nothing(
    anyone: httpx2.AsyncClient, container: Container
) -> None:
    user = await register(anyone)
    mine, other = await login(anyone), await login(anyone)
    await grown_old(container)
    same = {"display_name": "Ada", "email": user["email"], "phone": "+1 (415) 555-0132"}
    answer = await anyone.patch("/v1/users/me", json=same, headers=bearer(mine) | {"If-Match": "*"})
    assert answer.status_code == 200, answer.text
    assert (await anyone.get("/v1/users/me", headers=bearer(other))).status_code == 200


async def test_an_admin_changes_the_contacts_of_others_and_ends_their_logins(
    client: httpx2.AsyncClient, container: Container
) -> None:
    user = await register(client)
    theirs = await login(client)
    await grown_old(container)
    answer = await client.patch(f"/v1/users/{user['id']}", json=CHANGES[0], headers={"If-Match": "*"})
    assert answer.status_code == 200, answer.text
    del client.headers["Authorization"]
    assert_unauthenticated(await client.get("/v1/users/me", headers=bearer(theirs)))


async def test_an_admin_s_own_contacts_need_it_too(
    anyone: httpx2.AsyncClient, container: Container, sign_in: SignIn
) -> None:
    admin, headers = await sign_in({"email": "boss@example.com", "role": Role.ADMIN})
    await grown_old(container)
    answer = await anyone.patch(f"/v1/users/{admin.id}", json=CHANGES[0], headers=headers | {"If-Match": "*"})
    assert_problem(answer, 401, "fresh_login_needed")


async def test_refreshing_makes_no_login_fresh(anyone: httpx2.AsyncClient, container: Container) -> None:
    await register(anyone)
    tokens = await login(anyone)
    await grown_old(container)
    for _ in range(2):
        tokens = (await refresh(anyone, tokens)).json()
    answer = await anyone.patch("/v1/users/me", json=CHANGES[0], headers=bearer(tokens) | {"If-Match": "*"})
    assert_problem(answer, 401, "fresh_login_needed")


async def test_a_login_ends_in_the_end_however_often_it_is_refreshed(
    anyone: httpx2.AsyncClient, container: Container
) -> None:
    await register(anyone)
    tokens = await login(anyone)
    lasts = container.settings().tokens.login_lifetime
    await grown_old(container, lasts - timedelta(minutes=5))
    tokens = (await refresh(anyone, tokens)).json()
    stored = await container.token_dao().query().is_null("rotated_at").order_by("-id").limit(2).all()
    assert all(token.expires_at <= utc_now() + timedelta(minutes=5) for token in stored)
    await grown_old(container, lasts + timedelta(seconds=1))
    assert_problem(await refresh(anyone, tokens), 401, "refresh_refused")


COMMON = (
    "password1",
    "PASSWORD1",
    "ｐａｓｓｗｏｒｄ１",
    "iloveyou1",
    "football1",
    "qwertyuiop",
    "1234567890",
    "trustno1",
)
OWN = ("ada@example.com", "ADA@EXAMPLE.COM", "+14155550132", "14155550132", "+1 415 555 0132", "adaexamplecom")


@pytest.mark.parametrize("word", [*COMMON, *OWN])
async def test_a_common_password_and_one_s_own_address_are_refused_wherever_one_is_set(
    anyone: httpx2.AsyncClient, word: str
) -> None:
    refused = await anyone.post(
        "/v1/auth/register",
        json={"email": "Ada@example.com", "phone": "+14155550132", "password": word},
    )
    problem = assert_problem(refused, 422, "unacceptable")
    assert fields(problem) == ["body.password"]
    assert word not in problem["errors"][0]["message"]
    await register(anyone)
    change = {"current": PASSWORD, "new": word}
    answer = await anyone.post("/v1/users/me/password", json=change, headers=bearer(await login(anyone)))
    assert fields(assert_problem(answer, 422, "unacceptable")) == ["body.new"]


async def test_a_new_password_differs_from_the_current_one_in_every_spelling(anyone: httpx2.AsyncClient) -> None:
    accented, composed = "mot de passe\u0301 secret", "mot de pass\u00e9 secret"
    await register(anyone, password=accented)
    for new in (accented, composed, composed.replace(" ", "\u00a0")):
        tokens = await login(anyone, password=composed)
        answer = await anyone.post(
            "/v1/users/me/password", json={"current": composed, "new": new}, headers=bearer(tokens)
        )
        problem = assert_problem(answer, 422, "unacceptable")
        assert problem["errors"][0]["message"] == "is the current password; choose another one"
        assert (await anyone.get("/v1/users/me", headers=bearer(tokens))).status_code == 200


async def test_an_admin_sets_no_common_password_either(client: httpx2.AsyncClient, create: Create) -> None:
    answer = await client.post("/v1/users", json={"email": "bob@example.com", "password": "password1"})
    assert fields(assert_problem(answer, 422, "unacceptable")) == ["body.password"]
    answer = await client.post(
        "/v1/users", json={"email": "b@x.example", "display_name": "Robert Smith", "password": "smith robert"}
    )
    assert_problem(answer, 422, "unacceptable")
    assert (await create(email="bob@example.com", password="correct horse"))["email"] == "bob@example.com"


async def test_a_current_password_can_not_be_guessed_with_a_token(
    anyone: httpx2.AsyncClient, container: Container
) -> None:
    from settings.rate_limits import RateLimitSettings

    await register(anyone)
    hers = bearer(await login(anyone)) | {"If-Match": "*"}
    rates = RateLimitSettings(confirm_account_address="2/hour")
    container.settings.override(container.settings().model_copy(update={"rate_limits": rates}))
    guess = CHANGES[0] | {"current_password": "wrong password"}
    answers = [(await anyone.patch("/v1/users/me", json=guess, headers=hers)).status_code for _ in range(3)]
    assert answers == [422, 422, 429]
    container.settings.reset_last_overriding()


@pytest.mark.parametrize(
    ("theirs", "status", "code"),
    [("Ada@example.com", 412, "stale_version"), ("thief@example.com", 401, "not_authenticated")],
)
async def test_who_is_logged_out_meanwhile_changes_no_contact(
    anyone: httpx2.AsyncClient,
    container: Container,
    monkeypatch: pytest.MonkeyPatch,
    theirs: str,
    status: int,
    code: str,
) -> None:
    """A thief's request was authenticated before its owner ended his login; it may name the address of before."""
    await register(anyone)
    thief, owner = await login(anyone), await login(anyone)
    service: Any = type(container.user_service())
    update_user, first = service.update, True

    async def after_the_owner(self: Any, *arguments: Any, **named: Any) -> Any:
        nonlocal first
        if first:
            first = False
            changed = await anyone.patch("/v1/users/me", json=CHANGES[0], headers=bearer(owner) | {"If-Match": "*"})
            assert changed.status_code == 200
        return await update_user(self, *arguments, **named)

    monkeypatch.setattr(service, "update", after_the_owner)
    answer = await anyone.patch("/v1/users/me", json={"email": theirs}, headers=bearer(thief) | {"If-Match": "*"})
    assert_problem(answer, status, code)
    assert (await anyone.get("/v1/users/me", headers=bearer(owner))).json()["email"] == CHANGES[0]["email"]

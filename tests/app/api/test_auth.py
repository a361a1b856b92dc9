"""`/v1/auth`: register, log in, refresh, log out."""

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container
from domain import Token, TokenKind, User, UserStatus
from domain.token import digest_of
from settings import Settings
from tests.app.api.logins import ADA, PASSWORD, bearer, login, refresh, register
from tests.app.api.problem_document import assert_problem
from tests.app.api.test_authentication import assert_unauthenticated
from unitwork.models import SYSTEM, acting_as


async def test_who_registers_logs_in_and_sees_their_account(anyone: httpx2.AsyncClient, session: AsyncSession) -> None:
    user = await register(anyone, display_name="Ada")
    assert (user["role"], user["status"], user["created_by"]) == ("user", "active", str(SYSTEM))
    stored = await session.get_one(User, int(user["id"]))
    assert stored.password_hash is not None
    assert stored.password_hash.startswith("$argon2id$")

    tokens = await login(anyone)
    assert set(tokens) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 900)
    me = await anyone.get("/v1/users/me", headers=bearer(tokens))
    assert me.json() == user
    assert me.headers["etag"] == '"1"'


async def test_the_answer_to_a_registration_is_an_account_with_its_etag_and_address(anyone: httpx2.AsyncClient) -> None:
    answer = await anyone.post("/v1/auth/register", json=ADA)
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["location"] == f"/v1/users/{answer.json()['id']}"
    assert PASSWORD not in answer.text


@pytest.mark.parametrize(
    "name", ["ada@example.com", " ADA@EXAMPLE.COM ", "ａda@example.com", "+14155550132", "+1 (415) 555-0132"]
)
async def test_a_login_is_the_address_or_the_number_in_any_spelling(anyone: httpx2.AsyncClient, name: str) -> None:
    await register(anyone)
    await login(anyone, name)


@pytest.mark.parametrize("name", ["Ada", "nobody@example.com", "+1", "+14155550199", "%", "ada@example.com'--", "1"])
async def test_what_is_nobodys_login_is_refused_as_a_wrong_password_is(anyone: httpx2.AsyncClient, name: str) -> None:
    await register(anyone)
    answers = []
    for body in ({"login": name, "password": PASSWORD}, {"login": "ada@example.com", "password": "wrong password"}):
        answer = await anyone.post("/v1/auth/login", json=body, headers={"X-Request-ID": "same"})
        assert_problem(answer, 401, "login_refused")
        answers.append((answer.content, sorted(answer.headers.items())))
    assert answers[0] == answers[1]


async def test_unknown_wrong_deleted_suspended_and_password_less_get_the_same_answer(
    anyone: httpx2.AsyncClient, container: Container
) -> None:
    users = container.user_service()
    with acting_as(SYSTEM):
        for name in ("wrong", "deleted", "suspended"):
            user = await users.create({"email": f"{name}@example.com"}, password=PASSWORD)
            if name == "deleted":
                await users.delete(user.id)
            if name == "suspended":
                await users.update(user.id, {"status": UserStatus.SUSPENDED})
        await users.create({"email": "passwordless@example.com"})
    answers = set()
    for name in ("unknown", "wrong", "deleted", "suspended", "passwordless"):
        password = "not the password" if name == "wrong" else PASSWORD
        answer = await anyone.post(
            "/v1/auth/login",
            json={"login": f"{name}@example.com", "password": password},
            headers={"X-Request-ID": "same"},
        )
        assert_problem(answer, 401, "login_refused")
        assert answer.headers["www-authenticate"] == 'Bearer realm="gatehouse"'
        answers.add((answer.content, tuple(sorted(answer.headers.items()))))
    assert len(answers) == 1


async def test_a_refresh_gives_the_next_pair_and_uses_the_token_up(anyone: httpx2.AsyncClient) -> None:
    await register(anyone)
    first = await login(anyone)
    answer = await refresh(anyone, first)
    assert answer.status_code == 200
    second = answer.json()
    assert set(second) == set(first)
    assert not {second["access_token"], second["refresh_token"]} & {first["access_token"], first["refresh_token"]}
    for tokens in (first, second):
        assert (await anyone.get("/v1/users/me", headers=bearer(tokens))).status_code == 200
    assert (await refresh(anyone, second)).status_code == 200


async def test_a_refresh_token_used_again_ends_its_login_and_no_other(
    anyone: httpx2.AsyncClient, container: Container
) -> None:
    await register(anyone)
    first, other = await login(anyone), await login(anyone)
    second = (await refresh(anyone, first)).json()
    assert_problem(await refresh(anyone, first), 401, "refresh_refused")
    for tokens in (first, second):
        assert_unauthenticated(await anyone.get("/v1/users/me", headers=bearer(tokens)))
        assert_problem(await refresh(anyone, tokens), 401, "refresh_refused")
    assert (await anyone.get("/v1/users/me", headers=bearer(other))).status_code == 200
    assert (await refresh(anyone, other)).status_code == 200
    revoked = await container.token_dao().query().is_not_null("revoked_at").all()
    assert len(revoked) == 4


async def test_no_refusal_of_a_refresh_tells_why(anyone: httpx2.AsyncClient) -> None:
    await register(anyone)
    used, ended = await login(anyone), await login(anyone)
    await refresh(anyone, used)
    await anyone.post("/v1/auth/logout", json={"refresh_token": ended["refresh_token"]})
    answers = set()
    for token in (used["refresh_token"], ended["refresh_token"], "ghr_unknown", "x", ended["access_token"]):
        answer = await anyone.post("/v1/auth/refresh", json={"refresh_token": token}, headers={"X-Request-ID": "same"})
        assert_problem(answer, 401, "refresh_refused")
        answers.add((answer.content, tuple(sorted(answer.headers.items()))))
    assert len(answers) == 1


async def test_a_refresh_token_authenticates_nothing(anyone: httpx2.AsyncClient, container: Container) -> None:
    user = await register(anyone)
    tokens = await login(anyone)
    headers = {"Authorization": f"Bearer {tokens['refresh_token']}"}
    assert_unauthenticated(await anyone.get("/v1/users/me", headers=headers))
    disguised, secret = Token.issue(int(user["id"]), lifetime=container.settings().tokens.lifetime)
    disguised.kind = TokenKind.REFRESH
    with acting_as(SYSTEM):
        await container.token_dao().add(disguised)
    assert_unauthenticated(await anyone.get("/v1/users/me", headers={"Authorization": f"Bearer {secret}"}))


async def test_logout_ends_its_login_and_no_other(anyone: httpx2.AsyncClient) -> None:
    await register(anyone)
    mine, other = await login(anyone), await login(anyone)
    answer = await anyone.post("/v1/auth/logout", json={"refresh_token": mine["refresh_token"]})
    assert (answer.status_code, answer.content) == (204, b"")
    assert_unauthenticated(await anyone.get("/v1/users/me", headers=bearer(mine)))
    assert_problem(await refresh(anyone, mine), 401, "refresh_refused")
    assert (await anyone.get("/v1/users/me", headers=bearer(other))).status_code == 200


async def test_logout_with_a_used_token_ends_what_came_of_it(anyone: httpx2.AsyncClient) -> None:
    await register(anyone)
    first = await login(anyone)
    second = (await refresh(anyone, first)).json()
    await anyone.post("/v1/auth/logout", json={"refresh_token": first["refresh_token"]})
    assert_unauthenticated(await anyone.get("/v1/users/me", headers=bearer(second)))


@pytest.mark.parametrize("token", ["ghr_unknown", "x", "gh_unknown"])
async def test_logout_of_what_is_no_login_is_done_already(anyone: httpx2.AsyncClient, token: str) -> None:
    answer = await anyone.post("/v1/auth/logout", json={"refresh_token": token})
    assert (answer.status_code, answer.content) == (204, b"")


async def test_logout_everywhere_ends_every_login_of_the_account_and_of_no_other(
    anyone: httpx2.AsyncClient, admin_token: str
) -> None:
    await register(anyone)
    logins = [await login(anyone) for _ in range(3)]
    answer = await anyone.post("/v1/auth/logout-all", headers=bearer(logins[0]))
    assert (answer.status_code, answer.content) == (204, b"")
    for tokens in logins:
        assert_unauthenticated(await anyone.get("/v1/users/me", headers=bearer(tokens)))
        assert_problem(await refresh(anyone, tokens), 401, "refresh_refused")
    admin = {"Authorization": f"Bearer {admin_token}"}
    assert (await anyone.get("/v1/users/me", headers=admin)).status_code == 200
    await login(anyone)


async def test_a_suspended_account_can_not_log_in_nor_refresh_and_loses_its_tokens(
    anyone: httpx2.AsyncClient, admin_token: str
) -> None:
    user = await register(anyone)
    tokens = await login(anyone)
    path, admin = f"/v1/users/{user['id']}", {"Authorization": f"Bearer {admin_token}", "If-Match": "*"}
    assert (await anyone.patch(path, json={"status": "suspended"}, headers=admin)).status_code == 200
    assert_unauthenticated(await anyone.get("/v1/users/me", headers=bearer(tokens)))
    assert_problem(await refresh(anyone, tokens), 401, "refresh_refused")
    answer = await anyone.post("/v1/auth/login", json={"login": "ada@example.com", "password": PASSWORD})
    assert_problem(answer, 401, "login_refused")
    await anyone.patch(path, json={"status": "active"}, headers=admin)
    assert_problem(await refresh(anyone, tokens), 401, "refresh_refused")
    await login(anyone)


async def test_a_deleted_account_can_not_log_in_nor_refresh_and_its_tokens_are_dead_at_once(
    anyone: httpx2.AsyncClient, admin_token: str
) -> None:
    user = await register(anyone)
    tokens = await login(anyone)
    path, admin = f"/v1/users/{user['id']}", {"Authorization": f"Bearer {admin_token}", "If-Match": "*"}
    assert (await anyone.delete(path, headers=admin)).status_code == 204
    assert_unauthenticated(await anyone.get("/v1/users/me", headers=bearer(tokens)))
    assert_problem(await refresh(anyone, tokens), 401, "refresh_refused")
    logout = await anyone.post("/v1/auth/logout", json={"refresh_token": tokens["refresh_token"]})
    assert logout.status_code == 204
    assert (await anyone.post(f"{path}/restore", headers=admin)).status_code == 200
    assert_problem(await refresh(anyone, tokens), 401, "refresh_refused")
    await login(anyone)


async def test_only_digests_of_tokens_are_stored(anyone: httpx2.AsyncClient, container: Container) -> None:
    user = await register(anyone)
    tokens = await login(anyone)
    stored = await container.token_dao().query().eq("user_id", int(user["id"])).all()
    assert {token.digest for token in stored} == {digest_of(tokens["access_token"]), digest_of(tokens["refresh_token"])}
    assert len({token.family for token in stored}) == 1
    assert {token.created_by for token in stored} == {int(user["id"])}
    for token in stored:
        assert not {tokens["access_token"], tokens["refresh_token"]} & set(map(str, vars(token).values()))


async def test_what_is_taken_can_not_be_registered(anyone: httpx2.AsyncClient) -> None:
    await register(anyone)
    for body, code in (
        ({"email": "ADA@example.com", "phone": None}, "email_taken"),
        ({"email": None}, "phone_taken"),
    ):
        answer = await anyone.post("/v1/auth/register", json=ADA | body)
        assert_problem(answer, 409, code)


async def test_lifetimes_are_those_of_the_settings(
    settings: Settings, anyone: httpx2.AsyncClient, container: Container
) -> None:
    await register(anyone)
    await login(anyone)
    now = await container.token_dao().query().eq("kind", "access").order_by("-id").first()
    later = await container.token_dao().query().eq("kind", "refresh").first()
    assert now is not None and later is not None  # noqa: PT018
    assert abs(now.expires_at - now.created_at - settings.tokens.access_lifetime).total_seconds() < 5
    assert abs(later.expires_at - later.created_at - settings.tokens.refresh_lifetime).total_seconds() < 5

"""429 on login, registration and refresh, by account and by address; and whose address it is."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx2
import pytest

from app.api import create_app
from containers import Container
from settings import Settings
from settings.rate_limits import RateLimitSettings
from tests.app.api.logins import ADA, PASSWORD, bearer, login, refresh, register
from tests.app.api.problem_document import assert_problem

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
Limited = Callable[..., Any]


@pytest.fixture
def limited(container: Container, settings: Settings) -> Limited:
    """HTTP with these rates and no others, from this address, behind these proxies."""

    @asynccontextmanager
    async def limited(
        address: str = "203.0.113.9", proxies: tuple[str, ...] = (), **rates: str
    ) -> AsyncIterator[httpx2.AsyncClient]:
        off = dict.fromkeys(RateLimitSettings().rates, "off")
        changed = {
            "rate_limits": RateLimitSettings.model_validate(off | rates),
            "http": settings.http.model_validate({"trusted_proxies": proxies}),
        }
        with container.settings.override(settings.model_copy(update=changed)):
            container.rate_limits.reset()
            transport = httpx2.ASGITransport(create_app(container), client=(address, 5))
            async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
                yield client
        container.rate_limits.reset()

    return limited


def assert_too_many(answer: httpx2.Response) -> None:
    assert_problem(answer, 429, "too_many_attempts")
    assert 1 <= int(answer.headers["retry-after"]) <= 3600


async def try_login(client: httpx2.AsyncClient, name: str = "ada@example.com", **headers: str) -> httpx2.Response:
    return await client.post("/v1/auth/login", json={"login": name, "password": "wrong password"}, headers=headers)


async def test_passwords_of_one_account_are_tried_so_often(limited: Limited) -> None:
    async with limited(login_account="3/minute") as client:
        await register(client)
        for name in ("ada@example.com", "ADA@example.com ", "ａda@example.com"):
            assert_problem(await try_login(client, name), 401, "login_refused")
        assert_too_many(await try_login(client))
        right = await client.post("/v1/auth/login", json={"login": "ada@example.com", "password": PASSWORD})
        assert_too_many(right)
        assert_problem(await try_login(client, "nobody@example.com"), 401, "login_refused")


async def test_an_account_that_is_not_there_is_limited_alike(limited: Limited) -> None:
    async with limited(login_account="2/minute") as client:
        await register(client)
        answers = []
        for name in ("ada@example.com", "nobody@example.com", "+14155550199", "nonsense"):
            statuses = [(await try_login(client, name)).status_code for _ in range(4)]
            answers.append(statuses)
        assert answers == [[401, 401, 429, 429]] * 4


async def test_one_address_tries_so_many_accounts(limited: Limited) -> None:
    async with limited(login_address="3/minute") as client:
        for number in range(3):
            assert_problem(await try_login(client, f"u{number}@example.com"), 401, "login_refused")
        assert_too_many(await try_login(client, "u4@example.com"))


async def test_registrations_of_one_contact_and_of_one_address_are_limited(limited: Limited) -> None:
    async with limited(register_account="2/hour") as client:
        await register(client)
        assert_problem(await client.post("/v1/auth/register", json=ADA | {"phone": None}), 409, "email_taken")
        assert_too_many(await client.post("/v1/auth/register", json=ADA | {"email": "ADA@example.com"}))
        await register(client, email="alan@example.com", phone=None)
    async with limited(register_address="2/hour") as client:
        for number in range(2):
            await register(client, email=f"u{number}@example.com", phone=None)
        answer = await client.post("/v1/auth/register", json=ADA | {"email": "u3@example.com", "phone": None})
        assert_too_many(answer)


async def test_a_refused_registration_stores_nothing(limited: Limited, container: Container) -> None:
    async with limited(register_address="1/hour") as client:
        await register(client)
        assert_too_many(await client.post("/v1/auth/register", json=ADA | {"email": "b@example.com", "phone": None}))
    assert await container.user_dao().count(include_deleted=True).rows() == 1


async def test_refreshes_of_one_account_and_of_one_address_are_limited(limited: Limited) -> None:
    async with limited(refresh_account="2/minute") as client:
        await register(client)
        tokens, other = await login(client), await login(client)
        tokens = (await refresh(client, tokens)).json()
        tokens = (await refresh(client, tokens)).json()
        assert_too_many(await refresh(client, tokens))
        assert_too_many(await refresh(client, other))
        assert (await client.get("/v1/users/me", headers=bearer(tokens))).status_code == 200, "no login has ended"
    async with limited(refresh_address="2/minute") as client:
        for _ in range(2):
            assert_problem(await refresh(client, {"refresh_token": "ghr_unknown"}), 401, "refresh_refused")
        assert_too_many(await refresh(client, {"refresh_token": "ghr_unknown"}))


async def test_the_current_password_can_not_be_guessed_with_a_token(limited: Limited) -> None:
    async with limited(confirm_account_address="2/minute", login_account_address="1/minute") as client:
        await register(client)
        tokens = await login(client)
        body = {"current": "wrong password", "new": "another password"}
        statuses = [
            (await client.post("/v1/users/me/password", json=body, headers=bearer(tokens))).status_code
            for _ in range(4)
        ]
    assert statuses == [422, 422, 429, 429]


async def test_what_a_client_says_of_its_address_counts_only_from_a_proxy_that_is_trusted(limited: Limited) -> None:
    forged = [{"X-Forwarded-For": f"198.51.100.{number}"} for number in range(4)]
    async with limited(login_address="2/minute") as client:
        statuses = [(await try_login(client, **headers)).status_code for headers in forged]
    assert statuses == [401, 401, 429, 429], "nobody is trusted unless it is said"
    async with limited(login_address="2/minute", address="127.0.0.1") as client:
        statuses = [(await try_login(client, **headers)).status_code for headers in forged]
    assert statuses == [401, 401, 429, 429], "not even who is on this machine"
    async with limited(login_address="2/minute", address="10.0.0.7", proxies=("10.0.0.0/8",)) as client:
        statuses = [(await try_login(client, **headers)).status_code for headers in forged]
        assert statuses == [401] * 4, "four clients behind a proxy"
        chain = {"X-Forwarded-For": "192.0.2.1, 198.51.100.77, 10.0.0.8"}
        lies = [{"X-Forwarded-For": f"192.0.2.{number}, 198.51.100.77, 10.0.0.8"} for number in range(4)]
        statuses = [(await try_login(client, **headers)).status_code for headers in (chain, *lies)]
        assert statuses == [401, 401, 429, 429, 429], (
            "the last one that isn't ours; what it says itself is worth nothing"
        )


async def test_every_spelling_of_a_contact_is_one_account(limited: Limited) -> None:
    async with limited(login_account="4/minute", register_account="2/minute") as client:
        for name in (
            "a@münchen.example",
            "A@xn--mnchen-3ya.example",
            "a@münchen\u3002example",
            "a@mu\u0308nchen.example",
        ):
            assert_problem(await try_login(client, name), 401, "login_refused")
        assert_too_many(await try_login(client, "a@MÜNCHEN.example"))
        for name in ("+442079460018", "+44 (0)20 7946 0018", "\u202a+44-20-7946-0018\u202c", "＋44 20 7946 0018"):
            assert_problem(await try_login(client, name), 401, "login_refused")
        assert_too_many(await try_login(client, " +44 20 79460018"))
        for number in ("+1 (415) 555-0132", "+14155550132"):
            await client.post("/v1/auth/register", json={"phone": number, "password": PASSWORD})
        again = await client.post("/v1/auth/register", json={"phone": "+1.415.555.0132", "password": PASSWORD})
        assert_too_many(again)


async def test_attempts_of_an_address_are_counted_before_the_body_is_read(limited: Limited) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b"{"

    for purpose in ("register", "login", "refresh", "logout"):
        read = 0
        async with limited(**{f"{purpose}_address": "2/minute"}) as client:
            headers = {"Content-Type": "application/json"}
            send = partial(client.post, f"/v1/auth/{purpose}", headers=headers)
            for _ in range(2):
                assert_problem(await send(content=body()), 400, "malformed_json")
            assert read == 2
            for _ in range(3):
                assert_too_many(await send(content=body()))
            assert read == 2, purpose


BEHIND: dict[str, Any] = {"address": "10.0.0.7", "proxies": ("10.0.0.0/8",)}
DEFAULTS = {name: rate for name, rate in RateLimitSettings().rates.items() if name.startswith("login_account")}


def at(address: str) -> dict[str, str]:
    """The header by which the proxy names a client."""
    return {"X-Forwarded-For": address}


async def right_login(client: httpx2.AsyncClient, address: str, name: str = "ada@example.com") -> httpx2.Response:
    return await client.post("/v1/auth/login", json={"login": name, "password": PASSWORD}, headers=at(address))


async def test_120_requests_of_a_stranger_do_not_keep_the_owner_out(limited: Limited) -> None:
    async with limited(**BEHIND, **DEFAULTS) as client:
        await register(client)
        statuses = [(await try_login(client, **at("198.51.100.1"))).status_code for _ in range(120)]
        assert statuses == [401] * 10 + [429] * 110
        assert (await right_login(client, "192.0.2.1")).status_code == 200
        assert_too_many(await right_login(client, "198.51.100.1"))


async def test_many_strangers_keep_the_owner_out_of_new_places_only(limited: Limited) -> None:
    async with limited(**BEHIND, **DEFAULTS) as client:
        await register(client)
        assert (await right_login(client, "2001:db8:1:2::5")).status_code == 200
        for number in range(11):
            for _ in range(10):
                await try_login(client, **at(f"198.51.100.{number}"))
        assert_too_many(await right_login(client, "192.0.2.1"))
        assert (await right_login(client, "2001:db8:1:2::77")).status_code == 200, "from home"
        assert (await right_login(client, "2001:db8:1:2::5", "+1 415 555 0132")).status_code == 200


async def test_neighbours_of_one_64_share_a_budget(limited: Limited) -> None:
    for rate in ("login_account_address", "login_address"):
        async with limited(**BEHIND, **{rate: "3/minute"}) as client:
            addresses = [f"2001:db8:5:6:{number}::1" for number in range(5)]
            statuses = [(await try_login(client, **at(address))).status_code for address in addresses]
            assert statuses == [401, 401, 401, 429, 429], rate
            assert_problem(await try_login(client, **at("2001:db8:5:7::1")), 401, "login_refused")


async def test_an_accounts_e_mail_and_phone_share_a_budget(limited: Limited) -> None:
    for rate in ("login_account_address", "login_account"):
        async with limited(**{rate: "3/minute"}) as client:
            if rate == "login_account_address":
                await register(client)
            names = ("ada@example.com", "+1 415 555 0132", "+1-415-555-0132", "ADA@example.com", "+14155550132")
            assert [(await try_login(client, name)).status_code for name in names] == [401, 401, 401, 429, 429]


async def test_a_login_that_reads_like_an_id_shares_nothing_with_that_account(limited: Limited) -> None:
    async with limited(login_account="2/minute", login_account_address="2/minute") as client:
        id_ = (await register(client))["id"]
        for name in (id_, f"id:{id_}", "ada@example.com"):
            assert [(await try_login(client, name)).status_code for _ in range(3)] == [401, 401, 429], name


async def test_a_flood_of_logins_leaves_an_owner_who_is_in_alone(limited: Limited) -> None:
    async with limited(
        login_account_address="1/minute", login_account="2/minute", confirm_account="5/minute"
    ) as client:
        await register(client)
        tokens = await login(client)
        for _ in range(5):
            await try_login(client)
        body = {"current": PASSWORD, "new": "another good password"}
        answer = await client.post("/v1/users/me/password", json=body, headers=bearer(tokens))
        assert answer.status_code == 204


async def test_each_contact_of_a_registration_counts(limited: Limited) -> None:
    async with limited(register_account="2/minute") as client:
        for number in range(2):
            await client.post("/v1/auth/register", json=ADA | {"email": f"u{number}@example.com"})
        again = await client.post("/v1/auth/register", json=ADA | {"email": "u2@example.com", "phone": "+14155550132"})
        assert_too_many(again)
        await register(client, email="alan@example.com", phone=None)

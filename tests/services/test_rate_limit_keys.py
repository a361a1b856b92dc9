"""Keys of rate limits, in memory and in Redis: networks, accounts, and what never shares or displaces a counter."""

import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import fakeredis
import pytest
import redis.asyncio
import time_machine
from pydantic import SecretStr

from domain.errors import TooManyAttempts
from services import RateLimits, redis_attempts
from services.known_networks import NETWORKS_OF_ONE, KnownNetworks

Make = Callable[..., RateLimits]
HOME, STRANGER, NEW = "192.0.2.1", "198.51.100.7", "203.0.113.5"


@pytest.fixture(params=["memory", "redis"])
async def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    """Limits with these rates, counted here or in a Redis (of the environment, or a fake one)."""
    url = os.environ.get("GATEHOUSE_TEST_REDIS_URL")
    if url is None and request.param == "redis":
        server = fakeredis.FakeServer()
        url = "redis://127.0.0.1:1/0"

        def pool(_: str) -> Any:
            return fakeredis.FakeAsyncRedis(server=server).connection_pool

        monkeypatch.setattr("services.redis_attempts.redis_pool", pool)

    def make(max_keys: int = 1000, on_reached: Any = None, **rates: str) -> RateLimits:
        return RateLimits(
            lambda: rates,
            max_keys=lambda: max_keys,
            redis_url=lambda: SecretStr(str(url)) if request.param == "redis" else None,
            on_close=lambda: closing.append,
            on_reached=None if on_reached is None else lambda: on_reached,
        )

    closing: list[Callable[[], Awaitable[Any]]] = []
    yield make
    for close in closing:
        await close()


@pytest.fixture
def user_id() -> int:
    """An id that no other test has counted."""
    return secrets.randbits(62)


async def allowed(limits: RateLimits, times: int, *, purpose: str = "login", **whose: Any) -> int:
    """Number of attempts on an account that were let through, of so many."""
    let_through = 0
    for _ in range(times):
        try:
            await limits.hit(purpose, **whose)
        except TooManyAttempts:
            continue
        let_through += 1
    return let_through


async def test_a_stranger_uses_up_nothing_of_the_owner(make: Make, user_id: int) -> None:
    limits = make(login_account_address="10/hour", login_account="100/hour")
    assert await allowed(limits, 120, user_id=user_id, address=STRANGER) == 10
    assert await allowed(limits, 20, user_id=user_id, address=HOME) == 10


async def test_many_strangers_keep_out_nobody_who_logged_in_from_there_before(make: Make, user_id: int) -> None:
    limits = make(login_account_address="4/hour", login_account="10/hour")
    await limits.remember_login(user_id, HOME)
    for number in range(5):
        await allowed(limits, 4, user_id=user_id, address=f"198.51.100.{number}")
    assert await allowed(limits, 1, user_id=user_id, address=NEW) == 0
    assert await allowed(limits, 9, user_id=user_id, address=HOME) == 4, "within its own budget"
    assert await allowed(limits, 1, user_id=user_id + 1, address=HOME) == 1
    other = user_id + 2
    for number in range(5):
        await allowed(limits, 4, user_id=other, address=f"198.51.100.{number}")
    assert await allowed(limits, 1, user_id=other, address=HOME) == 0, "known for one account"


async def test_without_a_budget_of_its_own_a_known_network_is_limited_like_any(make: Make, user_id: int) -> None:
    limits = make(login_account="3/hour")
    await limits.remember_login(user_id, HOME)
    assert await allowed(limits, 9, user_id=user_id, address=HOME) == 3


async def test_an_ipv6_network_is_one_client(make: Make, user_id: int) -> None:
    limits = make(login_account_address="2/hour", login_address="3/hour")
    network = f"2001:db8:{user_id & 0xFFFF:x}:{user_id >> 16 & 0xFFFF:x}"
    for address in (f"{network}::1", f"{network}:ffff::2", f"{network}::3%eth0"):
        await limits.hit_address("login", address)
    with pytest.raises(TooManyAttempts):
        await limits.hit_address("login", f"{network}:1:2:3:4")
    assert await allowed(limits, 1, user_id=user_id, address=f"{network}::1") == 1
    assert await allowed(limits, 2, user_id=user_id, address=f"{network}::2") == 1
    assert await allowed(limits, 2, user_id=user_id, address="::ffff:192.0.2.1") == 2
    assert await allowed(limits, 1, user_id=user_id, address="192.0.2.1") == 0, "the same, mapped"
    assert await allowed(limits, 1, user_id=user_id, address="192.0.2.2") == 1


async def test_a_login_that_reads_like_an_id_is_not_that_account(make: Make, user_id: int) -> None:
    limits = make(login_account="2/hour")
    assert await allowed(limits, 5, contact=str(user_id)) == 2
    assert await allowed(limits, 5, contact=f"id:{user_id}") == 2
    assert await allowed(limits, 5, user_id=user_id) == 2


async def test_without_an_address_the_tight_limit_holds_too(make: Make, user_id: int) -> None:
    limits = make(login_account_address="2/hour", login_account="100/hour")
    assert await allowed(limits, 5, user_id=user_id) == 2


async def test_logins_and_confirmations_have_budgets_of_their_own(make: Make, user_id: int) -> None:
    limits = make(login_account_address="2/hour", confirm_account_address="3/hour")
    assert await allowed(limits, 9, user_id=user_id, address=HOME) == 2
    assert await allowed(limits, 9, purpose="confirm", user_id=user_id, address=HOME) == 3


async def test_what_is_forgotten_counts_anew_from_every_address(make: Make, user_id: int) -> None:
    limits = make(login_account_address="2/hour", login_account="5/hour", register_account="1/hour")
    contact = f"{user_id}@example.com"
    attempts: list[dict[str, Any]] = [
        {"user_id": user_id, "address": HOME},
        {"user_id": user_id, "address": "2001:db8::1"},
        {"contact": contact, "address": HOME},
        {"contact": contact, "purpose": "register"},
    ]
    other = user_id + 1
    await limits.remember_login(user_id, NEW)
    await limits.remember_login(other, NEW)
    before = [await allowed(limits, 9, **attempt) for attempt in attempts]
    assert before == [2, 2, 2, 1]
    assert await allowed(limits, 9, user_id=other, address=HOME) == 2
    await limits.forget([user_id], [contact])
    assert [await allowed(limits, 9, **attempt) for attempt in attempts] == before
    assert await allowed(limits, 9, user_id=other, address=HOME) == 0, "another account"
    for number in range(4):
        for whose in (user_id, other):
            await allowed(limits, 2, user_id=whose, address=f"198.51.100.{number}")
    assert await allowed(limits, 1, user_id=user_id, address=NEW) == 0, "no network is known any more"
    assert await allowed(limits, 1, user_id=other, address=NEW) == 1


async def test_a_reached_limit_names_account_and_address(make: Make, user_id: int) -> None:
    told: list[tuple[str, Any]] = []

    async def reached(limit: str, **facts: Any) -> None:
        told.append((limit, facts))

    limits = make(on_reached=reached, login_account_address="1/hour", login_account="1/hour", login_address="1/hour")
    await allowed(limits, 2, user_id=user_id, address=HOME)
    await allowed(limits, 1, user_id=user_id, address=STRANGER)
    contact = f"{user_id}@example.com"
    await allowed(limits, 2, contact=contact, address=HOME)
    own = {"user_id": user_id, "contact": None}
    assert told == [
        ("login_account_address", own | {"address": HOME}),
        ("login_account", own | {"address": STRANGER}),
        ("login_account_address", {"user_id": None, "contact": contact, "address": HOME}),
    ]


async def test_a_flood_of_one_kind_displaces_no_counter_of_another() -> None:
    rates = {
        "login_address": "2/hour",
        "login_account": "2/hour",
        "login_account_address": "2/hour",
    }
    limits = RateLimits(lambda: rates, max_keys=lambda: 50, redis_url=lambda: None, on_close=lambda: lambda _: None)
    await limits.hit_address("login", HOME)
    for _ in range(2):
        await limits.hit("login", user_id=1, address=HOME)
        await limits.hit("login", contact="nobody@example.com", address=HOME)
    for number in range(500):
        await limits.hit_address("login", f"10.1.{number // 250}.{number % 250}")
    assert await allowed(limits, 1, user_id=1, address=HOME) == 0
    rates.pop("login_account_address")
    for number in range(500):
        await limits.hit("login", contact=f"{number}@example.com")
    assert await allowed(limits, 1, user_id=1, address=NEW) == 0, "an account's counter is where no stranger's name is"
    for number in range(2, 500):
        await limits.hit("login", user_id=number)
    rates["login_account_address"] = "2/hour"
    rates.pop("login_account")
    assert await allowed(limits, 1, user_id=1, address=HOME) == 0, "nor is that of account and address"
    await limits.hit_address("login", f"10.1.1.{499 % 250}")
    with pytest.raises(TooManyAttempts):
        await limits.hit_address("login", f"10.1.1.{499 % 250}")


def test_known_networks_are_bounded_and_end() -> None:
    known = KnownNetworks(lambda: 3)
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        for number in range(5):
            known.add(f"account {number}", "home")
        assert [known.has(f"account {number}", "home") for number in range(5)] == [False, False, True, True, True]
        for number in range(NETWORKS_OF_ONE):
            known.add("account 4", f"network {number}")
        assert not known.has("account 4", "home")
        assert known.has("account 4", "network 0")
        clock.shift(30 * 24 * 3600 - 1)
        assert known.has("account 4", "network 0")
        clock.shift(1)
        assert not known.has("account 4", "network 0")


@pytest.mark.parametrize("make", ["redis"], indirect=True)
async def test_redis_is_told_digests_that_end(make: Make, user_id: int) -> None:
    limits = make(login_account_address="5/minute", login_account="5/minute")
    await limits.hit("login", user_id=user_id, address=HOME)
    await limits.remember_login(user_id, HOME)
    (server,) = limits._servers
    pool = redis_attempts.redis_pool(server)
    client = redis.asyncio.Redis(connection_pool=pool)
    digest = hashlib.sha256(f"id:{user_id}".encode()).hexdigest()
    ours = [key async for key in client.scan_iter(f"gatehouse:*/{digest}/*")]
    assert len(ours) == 3
    assert not [key for key in ours if str(user_id).encode() in key or HOME.encode() in key]
    assert all([0 < await client.ttl(key) <= 30 * 24 * 3600 for key in ours])
    await limits.forget([user_id])
    assert not [key async for key in client.scan_iter(f"gatehouse:*/{digest}/*")]
    await pool.aclose()


async def test_without_redis_a_known_network_is_remembered_in_memory(user_id: int) -> None:
    rates = {"login_account_address": "2/hour", "login_account": "3/hour"}
    limits = RateLimits(
        lambda: rates,
        max_keys=lambda: 50,
        redis_url=lambda: SecretStr("redis://127.0.0.1:1/0"),
        on_close=lambda: lambda _: None,
    )
    await limits.remember_login(user_id, HOME)
    for number in range(3):
        await allowed(limits, 2, user_id=user_id, address=f"198.51.100.{number}")
    assert await allowed(limits, 1, user_id=user_id, address=NEW) == 0
    assert await allowed(limits, 1, user_id=user_id, address=HOME) == 1
    await limits.forget([user_id])
    assert await allowed(limits, 3, user_id=user_id, address=HOME) == 2

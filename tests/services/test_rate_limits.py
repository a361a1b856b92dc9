"""RateLimits: by account and by address, in memory or in Redis, and when Redis is gone."""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import fakeredis
import pytest
import redis.asyncio
import time_machine
from pydantic import SecretStr

from containers import Container, running
from domain.errors import TooManyAttempts
from services import RateLimits, redis_attempts
from services.attempts import Attempts
from settings import Settings, SettingsError

Close = Callable[[], Awaitable[Any]]
ADA = "ada@example.com"


def in_memory(rates: dict[str, str], max_keys: int = 100_000) -> RateLimits:
    return RateLimits(lambda: rates, max_keys=lambda: max_keys, redis_url=lambda: None, on_close=lambda: lambda _: None)


async def allowed(limits: RateLimits, times: int, *, purpose: str = "login", **whose: Any) -> int:
    """Number of attempts that were let through, of so many, as over HTTP: by address, then by account."""
    let_through = 0
    for _ in range(times):
        try:
            await limits.hit_address(purpose, whose.get("address"))
            if "contact" in whose or "user_id" in whose:
                await limits.hit(purpose, **whose)
        except TooManyAttempts:
            continue
        let_through += 1
    return let_through


async def test_so_many_and_no_more_until_the_window_ends() -> None:
    limits = in_memory({"login_account": "3/minute"})
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        assert await allowed(limits, 5, contact=ADA) == 3
        assert await allowed(limits, 5, contact="alan@example.com") == 3
        clock.shift(45)
        with pytest.raises(TooManyAttempts) as refused:
            await limits.hit("login", contact=ADA)
        assert refused.value.retry_after == 15
        clock.shift(15)
        assert await allowed(limits, 5, contact=ADA) == 3


async def test_of_several_rates_each_counts() -> None:
    limits = in_memory({"login_account": "2/second;3/hour"})
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        assert await allowed(limits, 3, contact=ADA) == 2
        clock.shift(1)
        assert await allowed(limits, 1, contact=ADA) == 1
        with pytest.raises(TooManyAttempts) as refused:
            await limits.hit("login", contact=ADA)
        assert refused.value.retry_after == 3599


async def test_an_address_that_is_refused_counts_against_no_account() -> None:
    limits = in_memory({"login_account": "3/minute", "login_address": "2/minute"})
    assert await allowed(limits, 9, contact=ADA, address="10.0.0.1") == 2
    assert await allowed(limits, 9, contact=ADA, address="10.0.0.2") == 1
    assert await allowed(limits, 9, contact="alan@example.com", address="10.0.0.3") == 2


async def test_purposes_and_what_has_no_rate_are_counted_apart() -> None:
    limits = in_memory({"login_account": "1/minute"})
    assert await allowed(limits, 2, contact=ADA) == 1
    for _ in range(20):
        await limits.hit("refresh", contact=ADA)
        await limits.hit_address("login", "10.0.0.1")


async def test_memory_is_bounded_whatever_names_are_made_up() -> None:
    counters = Attempts(lambda: 100)
    for number in range(10_000):
        await counters.incr(f"key{number}", 60)
    assert await counters.reset() == 100


async def test_what_has_ended_makes_room_before_what_counts() -> None:
    counters = Attempts(lambda: 3)
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        await counters.incr("short", 1)
        await counters.incr("long", 60)
        clock.shift(2)
        for key in ("a", "b"):
            await counters.incr(key, 60)
        assert [await counters.get(key) for key in ("short", "long", "a", "b")] == [0, 1, 1, 1]
        await counters.incr("c", 60)
        assert [await counters.get(key) for key in ("long", "a", "b", "c")] == [0, 1, 1, 1]


async def test_nothing_of_a_counter_keeps_the_loop_busy(container: Container) -> None:
    before = asyncio.all_tasks()
    with container.settings.override(Settings()):
        await container.rate_limits().hit("login", contact=ADA, address="10.0.0.1")
    assert asyncio.all_tasks() == before


@pytest.fixture
def redis_url(monkeypatch: pytest.MonkeyPatch) -> str:
    """A Redis of the environment, or a fake one."""
    given = os.environ.get("GATEHOUSE_TEST_REDIS_URL")
    if given:
        return given
    server = fakeredis.FakeServer()

    def pool(_: str) -> Any:
        return fakeredis.FakeAsyncRedis(server=server).connection_pool

    monkeypatch.setattr("services.redis_attempts.redis_pool", pool)
    return "redis://127.0.0.1:1/0"


async def test_processes_count_together_in_redis(redis_url: str) -> None:
    who = secrets.token_hex(8)
    settings = Settings(redis_url=redis_url, rate_limits={"login_account": "5/minute"})
    async with running(Container(settings=settings)) as one, running(Container(settings=settings)) as two:
        assert await allowed(one.rate_limits(), 3, contact=who) == 3
        assert await allowed(two.rate_limits(), 9, contact=who) == 2
        with pytest.raises(TooManyAttempts) as refused:
            await one.rate_limits().hit("login", contact=who)
        assert 1 <= refused.value.retry_after <= 60


async def test_redis_is_not_told_whose_attempts_it_counts(redis_url: str) -> None:
    who = f"{secrets.token_hex(8)}@example.com"
    settings = Settings(redis_url=redis_url, rate_limits={"login_account": "5/minute"})
    async with running(Container(settings=settings)) as container:
        await container.rate_limits().hit("login", contact=who)
    pool = redis_attempts.redis_pool(redis_url)
    keys = [key async for key in redis.asyncio.Redis(connection_pool=pool).scan_iter("*login_account*")]
    await pool.aclose()
    assert keys
    assert not [key for key in keys if who.encode() in key]


async def test_without_redis_attempts_are_counted_in_memory_and_nobody_waits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Refused, or silent: the first attempt is told of, the next ones don't ask."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:
        for port in (1, silent.getsockname()[1]):
            caplog.clear()
            settings = Settings(
                redis_url=f"redis://:canary@127.0.0.1:{port}/0", rate_limits={"login_account": "3/minute"}
            )
            async with running(Container(settings=settings)) as container:
                begun = time.monotonic()
                assert await allowed(container.rate_limits(), 9, contact=ADA) == 3
                assert time.monotonic() - begun < 2
            told = [record for record in caplog.records if record.name == "gatehouse.rate_limits"]
            assert len(told) == 1
            assert "counted in memory" in told[0].getMessage()
            assert "canary" not in caplog.text


async def test_redis_is_asked_again_after_a_while(redis_url: str) -> None:
    who = secrets.token_hex(8)
    settings = Settings(redis_url=redis_url, rate_limits={"login_account": "2/minute"})
    async with running(Container(settings=settings)) as one, running(Container(settings=settings)) as two:
        limits = one.rate_limits()
        await limits.hit("login", contact=secrets.token_hex(8))
        limits._ask_at[redis_url] = time.monotonic() + 0.1  # it hasn't answered just now
        assert await allowed(limits, 3, contact=who) == 2
        await asyncio.sleep(0.15)
        assert await allowed(limits, 3, contact=who) == 2, "Redis has counted none of those in memory"
        assert await allowed(two.rate_limits(), 3, contact=who) == 0


async def test_the_connections_to_redis_are_closed_with_the_container(redis_url: str) -> None:
    closed: list[Close] = []
    limits = RateLimits(
        lambda: {"login_account": "5/minute"},
        max_keys=lambda: 10,
        redis_url=lambda: SecretStr(redis_url),
        on_close=lambda: closed.append,
    )
    await limits.hit("login", contact=secrets.token_hex(8))
    assert len(closed) == 1
    await closed[0]()


@pytest.mark.parametrize("rate", ["ten", "10", "10/fortnight", "-1/minute", ""])
def test_what_is_no_rate_is_refused_at_start(rate: str) -> None:
    with pytest.raises(SettingsError, match="GATEHOUSE_RATE_LIMITS__LOGIN_ACCOUNT"):
        Settings(rate_limits={"login_account": rate})


def test_a_rate_can_be_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEHOUSE_RATE_LIMITS__LOGIN_ACCOUNT", "off")
    assert "login_account" not in Settings().rate_limits.rates
    assert len(Settings().rate_limits.rates) == 17


@pytest.mark.parametrize("url", ["http://canary", "canary", "redis://canary:x", "sqlite:///canary"])
def test_what_is_no_address_of_redis_is_refused_at_start_and_not_repeated(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(SettingsError, match="GATEHOUSE_REDIS_URL") as refused:
        Settings()
    assert "canary" not in str(refused.value)

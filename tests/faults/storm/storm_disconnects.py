"""1,000 clients of a real server hang up at random moments, in the middle of a write."""

import asyncio
import random
import time
from pathlib import Path
from typing import Final

import httpx2
import pytest

from containers import Container
from tests.faults.leaks import backends
from tests.faults.waiting import until
from tests.flows.server import serving, until_listening
from unitwork.models import SYSTEM, acting_as

CLIENTS: Final = 12


@pytest.mark.timeout(1800)
async def test_1000_clients_hang_up_and_the_server_has_lost_nothing(
    container: Container, admin_token: str, backend: str, tmp_path: Path, seed: int, share: float
) -> None:
    url = container.settings().database.url.render_as_string(hide_password=False)
    count = max(int(1000 * share), 1)
    chance = random.Random(seed)
    answered: set[str] = set()
    numbers = iter(range(count))

    with serving(tmp_path, DATABASE_URL=url, GATEHOUSE_VAR_DIR=str(tmp_path)) as base:
        await asyncio.to_thread(until_listening, base)
        host, _, port = base.removeprefix("http://").partition(":")
        usual = await _usual(base, admin_token)

        async def client() -> None:
            for number in numbers:
                email = f"user{number}@example.com"
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(_request(email, admin_token))
                try:
                    async with asyncio.timeout(chance.uniform(0, 1.5 * usual)):
                        if b" 201 " in await reader.readline():
                            answered.add(email)
                except TimeoutError:
                    pass
                writer.transport.abort()

        begun = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(CLIENTS)))
        async with httpx2.AsyncClient(base_url=base, trust_env=False) as asking:

            async def idle() -> bool:  # its own question may still hold one
                return bool((await asking.get("/health/ready")).json()["pool_in_use"] <= 1)

            await until(idle, within=10, every=0.05)
            ready = (await asking.get("/health/ready")).json()
        took = time.perf_counter() - begun
        open_sessions = await backends(container.settings().database.url) if backend == "postgresql" else 0
    with acting_as(SYSTEM):
        stored = {user.email for user in await container.user_dao().query().all()}
    lost = answered - stored
    print(
        f"\nseed {seed}: {count} hung up in {took:.1f} s, {len(answered)} of them after their answer, "
        f"{len(stored) - 1} stored, {len(lost)} answered but missing, pool in use {ready['pool_in_use']}"
    )
    assert not lost
    assert ready["status"] == "ok"
    assert ready["pool_in_use"] <= 1
    assert open_sessions <= ready["pool_size"] + container.settings().database.pool_size
    if backend == "postgresql":
        assert await backends(container.settings().database.url) <= container.settings().database.pool_size


def _request(email: str, token: str) -> bytes:
    body = f'{{"email": "{email}"}}'.encode()
    head = (
        f"POST /v1/users HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _usual(base: str, token: str) -> float:
    """Seconds that an undisturbed write takes beside others."""
    async with httpx2.AsyncClient(
        base_url=base, headers={"Authorization": f"Bearer {token}"}, trust_env=False
    ) as client:
        begun = time.perf_counter()
        for turn in range(4):
            posts = (
                client.post("/v1/users", json={"email": f"warm{turn}x{number}@example.com"})
                for number in range(CLIENTS)
            )
            await asyncio.gather(*posts)
        return (time.perf_counter() - begun) / 4

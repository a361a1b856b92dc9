"""Logins that are sent and not waited for: a real server hashes for none of them, and lets the owner in."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from containers import Container, running
from settings import Settings
from tests.flows.server import server_process, until_listening
from unitwork.models import SYSTEM, acting_as

PASSWORD = "correct horse battery"
FLOOD, THREADS = 100, 1
A_FEW = 10
"""Hashes that may have begun before the server noticed that their clients were gone."""
WAITS_SECONDS = 0.3
"""Half of the flood hangs up only when it waits in the queue."""
DEADLINE_SECONDS = 20.0
"""Generous: one hash takes some tenths of a second, a hundred took half a minute."""
OFF = {f"GATEHOUSE_RATE_LIMITS__{name}": "off" for name in ("LOGIN_ADDRESS", "LOGIN_ACCOUNT_ADDRESS", "LOGIN_ACCOUNT")}


def request(login: str, password: str) -> bytes:
    body = json.dumps({"login": login, "password": password})
    head = "POST /v1/auth/login HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


async def connected(port: int, source: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))


async def sent_and_closed(port: int, after: float) -> None:
    _, writer = await connected(port, "127.0.0.1")
    writer.write(request("ada@example.com", "wrong password"))
    await writer.drain()
    await asyncio.sleep(after)
    writer.close()
    await writer.wait_closed()


async def login(port: int, source: str, password: str = PASSWORD) -> tuple[bytes, float]:
    begun = time.perf_counter()
    async with asyncio.timeout(60):
        reader, writer = await connected(port, source)
        writer.write(request("ada@example.com", password))
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    return answer, time.perf_counter() - begun


async def prepare(database_url: str) -> None:
    async with running(Container(settings=Settings(database={"url": database_url}))) as container:
        with acting_as(SYSTEM):
            await container.user_service().create({"email": "ada@example.com"}, password=PASSWORD)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_flood_that_hangs_up_is_not_hashed_for_and_the_owner_gets_in(
    database_url: str, tmp_path: Path, record_property: Any
) -> None:
    async def flooded(port: int) -> tuple[bytes, float]:
        assert (await login(port, "127.0.0.2"))[0].startswith(b"HTTP/1.1 200")
        flood = asyncio.gather(
            *(sent_and_closed(port, number % 2 * WAITS_SECONDS) for number in range(FLOOD)), return_exceptions=True
        )
        answer, took = await login(port, "127.0.0.2")
        await flood
        last, _ = await login(port, "127.0.0.3", "wrong password")  # comes after all of them
        assert last.startswith(b"HTTP/1.1 401"), last
        return answer, took

    asyncio.run(prepare(database_url))
    variables = {"DATABASE_URL": database_url, "GATEHOUSE_PASSWORDS__THREADS": str(THREADS), **OFF}
    with server_process(tmp_path, GATEHOUSE_VAR_DIR=str(tmp_path), **variables) as server:
        until_listening(server.address)
        answer, took = asyncio.run(flooded(int(server.address.rpartition(":")[2])))
        log = server.err.read_text()
    assert answer.startswith(b"HTTP/1.1 200"), answer
    hashed = log.count("login_refused") - 1
    statuses = {status: log.count(f"/v1/auth/login {status} ") for status in (200, 400, 401, 503)}
    record_property("figure", f"flood of {FLOOD}: {hashed} hashed, owner {took:.2f} s, answers {statuses}")
    assert took < DEADLINE_SECONDS
    assert 0 <= hashed <= THREADS + A_FEW
    assert statuses[400] + statuses[503] >= FLOOD - THREADS - A_FEW
    assert "Traceback" not in log
    assert "ERROR" not in log

"""Attacks of one anonymous client, run as a process: `python -m tests.faults.attacks NAME ADDRESS SECONDS`."""

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

LOGIN: Final = "POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
BIG_BODY: Final = json.dumps({f"key{number}": 1 for number in range(60_000)}).encode()
"""60,000 unknown keys, about 900 kB."""
LARGEST_BODY: Final = json.dumps({f"k{number}": 1 for number in range(2_900)}).encode()[:32_000]


class Address:
    """The attacked server."""

    def __init__(self, address: str, end: float) -> None:
        host, _, port = address.removeprefix("http://").partition(":")
        self.host, self.port, self.end = host, int(port), end

    @property
    def going(self) -> bool:
        return time.monotonic() < self.end

    async def send(self, *pieces: bytes, pause: float = 0.0, read: bool = True) -> bytes:
        """Open a connection, send, read what comes, and close."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
            return await reader.read(65_536) if read else b""
        finally:
            writer.transport.abort()

    async def hold(self, *pieces: bytes) -> None:
        """Open a connection, send, and keep it until the server closes it or the attack is over."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            for piece in pieces:
                writer.write(piece)
            async with asyncio.timeout(max(self.end - time.monotonic(), 0.1)):
                await reader.read()
        finally:
            writer.transport.abort()


async def large_bodies(server: Address, _: int) -> None:
    """Objects of many unknown keys, of a size that is refused and of one that is read."""
    for body in (BIG_BODY, LARGEST_BODY):
        await server.send(f"{LOGIN}Content-Length: {len(body)}\r\n\r\n".encode() + body)


async def endless_heads(server: Address, _: int) -> None:
    """A megabyte of header lines, and one line of a megabyte."""
    lines = [f"X-{number}: {'a' * 2000}\r\n".encode() for number in range(500)]
    await server.send(b"GET /health/live HTTP/1.1\r\nHost: x\r\n", *lines)
    await server.send(b"GET /health/live HTTP/1.1\r\nHost: x\r\nX: ", *[b"a" * 65_536] * 16)


async def idle_connections(server: Address, number: int) -> None:
    """Connections that send nothing, half a head, or half a body."""
    pieces = (
        b"",
        b"GET /health/live HTTP/1.1\r\nX: ",
        f"{LOGIN}Content-Length: 32000\r\n\r\n".encode() + b" " * 30_000,
    )
    await server.hold(pieces[number % 3])


async def abandoned_logins(server: Address, number: int) -> None:
    """Logins that are sent and not waited for."""
    body = json.dumps({"login": f"person{number}@example.com", "password": "correct horse"}).encode()
    await server.send(f"{LOGIN}Content-Length: {len(body)}\r\n\r\n".encode() + body, pause=0.05, read=False)


_numbers: Final = itertools.count()


async def many_accounts(server: Address, _: int) -> None:
    """Logins of one account after the other, and of one owner's again and again."""
    number = next(_numbers)
    login = "owner@example.com" if number % 2 else f"person{number}@example.com"
    body = json.dumps({"login": login, "password": "correct horse"}).encode()
    await server.send(f"{LOGIN}Content-Length: {len(body)}\r\n\r\n".encode() + body)


ATTACKS: Final[Mapping[str, tuple[Callable[[Address, int], Awaitable[None]], int]]] = {
    attack.__name__: (attack, clients)
    for attack, clients in (
        (large_bodies, 8),
        (endless_heads, 16),
        (idle_connections, 650),
        (abandoned_logins, 100),
        (many_accounts, 16),
    )
}
"""Each with the number of connections it uses at once."""


async def attack(name: str, address: str, seconds: float) -> None:
    """Attack for so long."""
    once, clients = ATTACKS[name]
    server = Address(address, time.monotonic() + seconds)

    async def client(number: int) -> None:
        while server.going:
            with suppress(OSError, TimeoutError):
                await once(server, number)
            await asyncio.sleep(0.01)

    await asyncio.gather(*(client(number) for number in range(clients)))


if __name__ == "__main__":
    os.nice(10)  # an attacker has a machine of its own
    asyncio.run(attack(sys.argv[1], sys.argv[2], float(sys.argv[3])))

"""An export over a real server: a slow reader holds no connection, and one that is gone leaves nothing."""

import asyncio
import signal
import socket
import struct
import time
from pathlib import Path

import httpx2

from containers import Container, running
from domain import Role, User
from settings import Settings
from tests.flows.server import ServerProcess, server_process, until_listening
from unitwork.models import SYSTEM, acting_as

ACCOUNTS = 3000
STARTS_WITHIN = 10.0
"""Seconds; a deadline. On an idle machine it is some milliseconds, which the storm prints."""


async def filled(url: str) -> str:
    """Accounts with long names, and an admin's token."""
    async with running(Container(settings=Settings(database={"url": url}))) as container:
        with acting_as(SYSTEM):
            admin = await container.user_service().create({"email": "root@example.com", "role": Role.ADMIN})
            addresses = [f"user{number}@example.com" for number in range(ACCOUNTS)]
            await container.user_dao().add_many(
                [User(email=address, email_key=address, display_name="x" * 200) for address in addresses]
            )
            return (await container.auth_service().issue(admin.id))[1]


def in_use(client: httpx2.Client) -> int:
    """Connections in use: readiness tells them whether it is red or not, as it may be on a busy machine."""
    return int(client.get("/health/ready").json()["pool_in_use"])


def until_none_in_use(client: httpx2.Client) -> None:
    end = time.monotonic() + STARTS_WITHIN
    while in_use(client):
        assert time.monotonic() < end, "a slow reader holds a connection"
        time.sleep(0.05)
    time.sleep(0.5)


def asked(server: ServerProcess, token: str) -> socket.socket:
    """A connection that has asked for an export, and buffers little."""
    host, _, port = server.address.removeprefix("http://").partition(":")
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.settimeout(30)
    reader.connect((host, int(port)))
    request = f"GET /v1/users/export HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    reader.sendall(request.encode())
    return reader


def test_a_slow_reader_holds_no_connection_and_one_that_is_gone_leaves_nothing(
    database_url: str, tmp_path: Path
) -> None:
    token = asyncio.run(filled(database_url))
    one_connection = {"GATEHOUSE_DATABASE__POOL_SIZE": "1", "GATEHOUSE_DATABASE__MAX_OVERFLOW": "0"}
    with server_process(
        tmp_path, DATABASE_URL=database_url, GATEHOUSE_VAR_DIR=str(tmp_path), **one_connection
    ) as server:
        until_listening(server.address)
        with httpx2.Client(base_url=server.address, headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
            assert in_use(client) == 0
            slow = [asked(server, token) for _ in range(3)]
            begun = time.perf_counter()
            answers = [bytearray(reader.recv(1000)) for reader in slow]
            assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
            assert time.perf_counter() - begun < STARTS_WITHIN
            until_none_in_use(client)  # what the sockets buffer has been read
            for _ in range(5):  # three exports under way, and a pool of one
                assert client.get("/v1/users?limit=1").status_code == 200
                assert in_use(client) == 0

            gone, reset, patient = slow
            gone.close()
            reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            reset.close()
            while piece := patient.recv(65_536):
                answers[2] += piece
            patient.close()
            assert answers[2].endswith(b"0\r\n\r\n"), "whole"
            assert answers[2].count(b",user,active,") == ACCOUNTS
            assert in_use(client) == 0
            assert client.get("/v1/users?limit=1").status_code == 200
        server.told(signal.SIGTERM, within=15)
        assert "Error" not in server.err.read_text()

"""Clients that are refused again and again, on a real server: read late, or not at all if they don't wait."""

import signal
import socket
import time
from pathlib import Path

from app.serving.slow_down import DELAY_SECONDS
from tests.flows.server import ServerProcess, server_process, until_listening
from tests.flows.test_sockets import DEADLINE, LIVE, answer, live, opened, until_closed


def login(server: ServerProcess) -> socket.socket:
    body = b'{"login": "nobody@example.com", "password": "correct horse battery"}'
    head = b"POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return opened(server, head + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def test_a_client_that_goes_on_beyond_its_limit_is_read_late_or_not_at_all(tmp_path: Path) -> None:
    with server_process(
        tmp_path, GATEHOUSE_VAR_DIR=str(tmp_path), GATEHOUSE_RATE_LIMITS__LOGIN_ADDRESS="1/hour"
    ) as server:
        until_listening(server.address)
        for _ in range(25):
            with login(server) as client:
                client.recv(65_536)
        with login(server) as client:
            received = until_closed(client)
        assert received.startswith(b"HTTP/1.1 429")
        assert b"\r\nconnection: close\r\n" in received
        begun = time.monotonic()
        live(server)
        assert time.monotonic() - begun >= DELAY_SECONDS, "a new connection, whatever it asks"
        time.sleep(0.1)
        before = server.err.read_text().count("/v1/auth/login")
        for _ in range(20):
            login(server).close()
        time.sleep(2 * DELAY_SECONDS)
        assert server.err.read_text().count("/v1/auth/login") == before, "nothing is begun for who is gone"
        host, _, port = server.address.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), DEADLINE, source_address=("127.0.0.2", 0)) as neighbour:
            neighbour.sendall(LIVE)
            assert answer(neighbour).startswith(b"HTTP/1.1 200")
        server.told(signal.SIGTERM, within=DEADLINE)

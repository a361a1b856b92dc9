"""Bounds of what a client sends to a socket, and how slowly, of one connection and of all, on a real server."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.sync.client import connect

from app.api.problems import Problem
from app.serving.open_connections import MAX_INTERVAL_SECONDS
from app.serving.refusal import MAX_HEAD_BYTES, MAX_HEADERS, MAX_TARGET_BYTES, SECURITY_HEADERS
from tests.flows.server import ServerProcess, server_process, until_listening
from tests.flows.socket_application import LARGE_PIECES, PIECE_BYTES

PROGRAM = ("-m", "tests.flows.socket_application")
DEADLINE = 20.0
"""Seconds; generous, as what is timed here takes one or two."""
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@contextmanager
def served(folder: Path, **http: object) -> Iterator[ServerProcess]:
    """A server with these settings of `HTTP__…`, which says nothing of an error."""
    variables = {f"GATEHOUSE_HTTP__{name.upper()}": str(value) for name, value in http.items()}
    variables |= {"GATEHOUSE_VAR_DIR": str(folder), "GATEHOUSE_MAX_BODY_BYTES": str(1024 * 1024)}
    with server_process(folder, program=PROGRAM, **variables) as server:
        until_listening(server.address)
        yield server
        server.told(signal.SIGTERM, within=DEADLINE)
        assert "rror" not in server.err.read_text().replace("uvicorn.error", "")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server as it is by default."""
    with served(tmp_path_factory.mktemp("served")) as server:
        yield server


def opened(server: ServerProcess, sent: bytes = b"") -> socket.socket:
    host, _, port = server.address.removeprefix("http://").partition(":")
    client = socket.create_connection((host, int(port)), timeout=DEADLINE)
    client.sendall(sent)
    return client


def until_closed(client: socket.socket) -> bytes:
    """All that the server sends until it closes, which it must."""
    received = bytearray()
    with client:
        while piece := client.recv(65_536):
            received += piece
    return bytes(received)


def answer(client: socket.socket) -> bytes:
    """One answer, whose body is JSON."""
    received = bytearray()
    while not received.endswith(b"}"):
        piece = client.recv(65_536)
        assert piece, f"closed after {bytes(received)!r}"
        received += piece
    return bytes(received)


def refused(received: bytes, status: int, code: str) -> dict[str, Any]:
    """The problem document that is the whole answer."""
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    assert first.startswith(f"HTTP/1.1 {status} "), received
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    assert "date" in headers
    for name, value in SECURITY_HEADERS.items():
        assert headers[name.lower()] == value
    document: dict[str, Any] = json.loads(body)
    assert list(document) == list(Problem.model_fields)
    Problem.model_validate(document)
    assert (document["status"], document["code"]) == (status, code), document
    assert document["request_id"] == headers["x-request-id"]
    assert len(body) == int(headers["content-length"])
    return document


def live(server: ServerProcess) -> None:
    with opened(server, LIVE) as client:
        assert answer(client).startswith(b"HTTP/1.1 200")


def resident_bytes(server: ServerProcess) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def closed(client: socket.socket) -> bool:
    """True if the server has closed the connection by now."""
    client.setblocking(False)
    try:
        return not client.recv(65_536)
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    finally:
        client.settimeout(DEADLINE)


HEAD = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (HEAD + b"A: b\r\n" * MAX_HEADERS + b"\r\n", 431, "headers_too_large"),
        (HEAD + b"A: b\r\n" * 170_000, 431, "headers_too_large"),
        (HEAD + b"A: " + b"b" * 1_000_000, 431, "headers_too_large"),
        (HEAD + b"A" * 1_000_000, 431, "headers_too_large"),
        (HEAD + b"".join(b"A: " + b"b" * 6500 + b"\r\n" for _ in range(11)), 431, "headers_too_large"),
        (b"\r\n" * 500_000, 431, "headers_too_large"),
        (b"GET /" + b"a" * 1_000_000, 414, "target_too_long"),
        (b"GET /" + b"a" * MAX_TARGET_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "target_too_long"),
        (b"GET /health/live HTTP/1.1\r\n\r\n", 400, "malformed_request"),
        (HEAD + b"Host: x\r\n\r\n", 400, "malformed_request"),
        (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "malformed_request"),
        (b"GET /health/live\r\n", 400, "malformed_request"),
        (b"\r\nGET /health/live\r\n", 400, "malformed_request"),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 400, "malformed_request"),
        (b"GET / HTTP/1.2\r\nHost: x\r\n\r\n", 400, "malformed_request"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "malformed_request"),
        (b"\x16\x03\x01\x02\x00\x01", 400, "malformed_request"),
        (HEAD + b"A : b\r\n\r\n", 400, "malformed_request"),
        (HEAD + b"A: b\r\n c\r\n\r\n", 400, "malformed_request"),
        (HEAD + b"A: \x00\r\n\r\n", 400, "malformed_request"),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400, "malformed_request"),
        (HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "malformed_request"),
        (HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400, "malformed_request"),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400, "malformed_request"),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400, "malformed_request"),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 400, "malformed_request"),
        (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 400, "malformed_request"),
        (b"POST /read HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "malformed_request"),
        (HEAD + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\nx", 400, "malformed_request"),
    ],
    ids=lambda value: repr(value[-40:]) if isinstance(value, bytes) else None,
)
def test_a_head_beyond_measure_or_no_http_is_a_problem_and_the_end(
    server: ServerProcess, sent: bytes, status: int, code: str
) -> None:
    refused(until_closed(opened(server, sent)), status, code)
    live(server)


CHUNKED = b"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"1;" + b"a" * 1_000_000, 400, "malformed_request"),
        (b"1;%s\r\nx\r\n" % (b"a" * 15_000) * 60, 400, "malformed_request"),
        (b"0\r\n" + b"A: b\r\n" * 1000, 431, "headers_too_large"),
        (b"0\r\nA: " + b"b" * 1_000_000, 400, "malformed_request"),
        (b"x\r\n", 400, "malformed_request"),
    ],
    ids=["an extension", "extensions", "trailers", "a trailer", "no size"],
)
def test_what_surrounds_a_chunked_body_is_bounded(server: ServerProcess, body: bytes, status: int, code: str) -> None:
    refused(until_closed(opened(server, CHUNKED + body)), status, code)


def test_chunks_their_extensions_and_trailers_are_read_within_bounds(server: ServerProcess) -> None:
    with opened(server, CHUNKED + b"1;a=b\r\nx\r\n" * 20_000 + b"0\r\nA: b\r\n\r\n" + LIVE) as client:
        received = b""
        while not received.endswith(b'{"status":"ok"}'):
            received += answer(client)
    assert b'{"size":20000}' in received


def test_as_many_headers_as_the_application_takes_are_no_more_than_the_server_takes(server: ServerProcess) -> None:
    with opened(server, HEAD + b"A: b\r\n" * (MAX_HEADERS - 1) + b"\r\n") as client:
        assert answer(client).startswith(b"HTTP/1.1 200")
        client.sendall(HEAD + b"A: " + b"b" * 40_000 + b"\r\n\r\n")  # the application's own answer: it goes on
        assert answer(client).startswith(b"HTTP/1.1 431")
        client.sendall(b"GET /health/live?" + b"a" * 8000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer(client).startswith(b"HTTP/1.1 200")
        for byte in HEAD + b"\r\n":  # in pieces, with the line in pieces too
            client.sendall(bytes([byte]))
        assert answer(client).startswith(b"HTTP/1.1 200")


def test_a_body_is_no_head_however_it_arrives(server: ServerProcess) -> None:
    size = 4 * MAX_HEAD_BYTES
    request = b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"A: b\r\n\r\n" * (size // 8)
    with opened(server, (request + LIVE) * 3) as client:
        received = b""
        while received.count(b"}") < 6:
            received += client.recv(65_536)
    assert received.count(b'{"size":%d}' % size) == received.count(b'"status":"ok"') == 3


def test_blanks_around_a_value_are_not_of_it(server: ServerProcess) -> None:
    head = b"POST /read HTTP/1.1\r\nHost: \t x.example:80 \t\r\nTransfer-Encoding: Chunked \r\n"
    with opened(server, head + b"Expect: 100-continue \r\n\r\n") as client:
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"1\r\nx\r\n0\r\n\r\n")
        assert answer(client).endswith(b'{"size":1}')


def test_requests_of_http_1_0_need_no_host(server: ServerProcess) -> None:
    received = until_closed(opened(server, b"GET /health/live HTTP/1.0\r\n\r\n"))
    assert received.startswith(b"HTTP/1.1 200")


def test_a_refusal_comes_after_the_answers_that_are_due(server: ServerProcess) -> None:
    received = until_closed(
        opened(server, b"GET /wait?seconds=0.5 HTTP/1.1\r\nHost: x\r\n\r\n" + LIVE + b"nonsense\r\n\r\n")
    )
    waited, _, rest = received.partition(b'{"waited":0.5}')
    assert waited.startswith(b"HTTP/1.1 200")
    ok, _, last = rest.partition(b'{"status":"ok"}')
    assert ok.startswith(b"HTTP/1.1 200")
    refused(last, 400, "malformed_request")


def test_so_many_requests_wait_behind_one_and_then_the_connection_ends(server: ServerProcess) -> None:
    received = until_closed(opened(server, b"GET /wait?seconds=0.5 HTTP/1.1\r\nHost: x\r\n\r\n" + LIVE * 5000))
    assert received.count(b"HTTP/1.1 200") == 101
    assert received.count(b"connection: close") == 1


def test_an_unknown_protocol_is_answered_in_http(server: ServerProcess) -> None:
    received = until_closed(opened(server, HEAD + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"))
    assert received.startswith(b"HTTP/1.1 200")


def test_web_sockets_are_served(tmp_path: Path) -> None:
    with (
        served(tmp_path, head_timeout=0.5, keep_alive_timeout=0.5, max_idle_connections=10) as server,
        connect(server.address.replace("http", "ws") + "/echo") as echo,
    ):
        for _ in range(3):
            time.sleep(0.6)  # longer than what an idle connection of HTTP has
            echo.send("there?")
            assert echo.recv(DEADLINE) == "there?"
        echo.close()


def test_deadlines(tmp_path: Path) -> None:
    with served(tmp_path, head_timeout=1, body_timeout=1, keep_alive_timeout=1) as server:
        silent = opened(server)
        head = opened(server, b"GET /health/li")
        dripping = opened(server, HEAD)
        body = opened(server, b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
        kept = opened(server, LIVE)
        second = opened(server, LIVE)
        assert answer(kept).startswith(b"HTTP/1.1 200")
        assert answer(second).startswith(b"HTTP/1.1 200")
        second.sendall(HEAD)
        for _ in range(5):
            time.sleep(0.1)
            dripping.sendall(b"A: b\r\n")
        begun = time.monotonic()
        assert until_closed(silent) == b"", "who says nothing is told nothing"
        assert until_closed(kept) == b""
        refused(until_closed(head), 408, "request_timeout")
        refused(until_closed(dripping), 408, "request_timeout")
        refused(until_closed(body), 408, "request_timeout")
        refused(until_closed(second), 408, "request_timeout")
        assert time.monotonic() - begun < DEADLINE
        live(server)


def test_a_body_that_makes_progress_or_that_the_server_does_not_read_has_time(tmp_path: Path) -> None:
    with served(tmp_path, body_timeout=1, keep_alive_timeout=1) as server:
        size = 20 * 8192
        head = b"POST /read?pause=%s HTTP/1.1\r\nHost: x\r\n%s\r\n"
        steady = opened(server, head % (b"0", b"Content-Length: %d\r\n" % size))
        unread = opened(server, head % (b"3", b"Content-Length: 1000000\r\n"))
        unread.settimeout(DEADLINE)
        unasked = opened(server, head % (b"2.5", b"Content-Length: 2\r\nExpect: 100-continue\r\n"))
        unread.sendall(b"x" * 400_000)
        begun = time.monotonic()
        for _ in range(20):
            time.sleep(0.15)
            steady.sendall(b"x" * 8192)
        assert answer(steady).endswith(b'{"size":%d}' % size)
        unread.sendall(b"x" * 600_000)
        assert b"100 Continue" in unasked.recv(1000)
        unasked.sendall(b"ab")
        assert answer(unasked).endswith(b'{"size":2}')
        assert answer(unread).endswith(b'{"size":1000000}')
        assert time.monotonic() - begun > 3, "longer than the timeout"
        for client in (steady, unread, unasked):
            client.close()


def test_who_reads_nothing_of_an_answer_is_cut_off(tmp_path: Path) -> None:
    with served(tmp_path, write_timeout=1.5) as server, ExitStack() as open_ones:
        request = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"
        stuck, slow = (open_ones.enter_context(opened(server, request)) for _ in range(2))
        end = time.monotonic() + 4
        while time.monotonic() < end:
            assert slow.recv(100_000)
            time.sleep(0.05)
        read = 0
        with suppress(ConnectionResetError):
            while piece := stuck.recv(65_536):
                read += len(piece)
        assert read < LARGE_PIECES * PIECE_BYTES
        assert slow.recv(65_536), "who reads slowly goes on"


def test_beyond_the_bound_the_longest_idle_connection_makes_room(tmp_path: Path) -> None:
    with served(tmp_path, max_idle_connections=50) as server, ExitStack() as open_ones:
        working = opened(server, b"GET /wait?seconds=3 HTTP/1.1\r\nHost: x\r\n\r\n")
        sent = (b"", HEAD, b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
        clients = [open_ones.enter_context(opened(server, sent[number % 3])) for number in range(150)]
        live(server)
        end = time.monotonic() + DEADLINE
        while sum(not closed(client) for client in clients) > 50 and time.monotonic() < end:
            time.sleep(0.05)
        left = [number for number, client in enumerate(clients) if not closed(client)]
        assert 40 <= len(left) <= 50
        assert min(left) >= 95, "the oldest went first"
        assert answer(working).endswith(b'{"waited":3.0}')
        working.close()


def test_so_many_requests_are_answered_at_once_and_liveness_besides(tmp_path: Path) -> None:
    with served(tmp_path, limit_concurrency=5) as server:
        waiting = [opened(server, b"GET /wait?seconds=3 HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(5)]
        time.sleep(0.5)
        received = until_closed(opened(server, b"GET /v1/users?limit=1 HTTP/1.1\r\nHost: x\r\n\r\n"))
        assert refused(received, 503, "unavailable")["instance"] == "/v1/users"
        assert b"\r\nretry-after: 1\r\n" in received
        live(server)
        for client in waiting:
            assert answer(client).startswith(b"HTTP/1.1 200")
            client.close()
        with httpx2.Client(base_url=server.address) as again:
            assert again.get("/wait", params={"seconds": 0}).status_code == 200


def test_beyond_their_bound_the_body_that_is_silent_the_longest_is_given_up(tmp_path: Path) -> None:
    with served(tmp_path, max_unfinished_bytes=1_048_576) as server, ExitStack() as open_ones:
        half = b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 600001\r\n\r\n" + b"x" * 600_000
        first, second = (open_ones.enter_context(opened(server, half)) for _ in range(2))
        received = until_closed(first)
        refused(received, 503, "unavailable")
        assert b"\r\nretry-after: 1\r\n" in received
        second.sendall(b"x")
        assert answer(second).endswith(b'{"size":600001}')


def test_memory_is_bounded_whatever_is_begun_and_not_ended(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        for _ in range(5):
            live(server)
        before = resident_bytes(server)
        most = 0

        def grown() -> int:
            nonlocal most
            live(server)
            most = max(most, resident_bytes(server) - before)
            return most

        lines = b"X-Line: " + b"v" * 2000 + b"\r\n"
        attacks = {
            "heads of 1 MB": (500, HEAD, lines * 500),
            "idle": (450, b"", b""),
            "bodies": (200, CHUNKED.replace(b"/read", b"/v1/auth/login"), b"100000\r\n" + b"x" * 1_048_000),
        }
        json_type = b"Content-Type: application/json\r\nTransfer"
        for name, (count, head, rest) in attacks.items():
            with ExitStack() as open_ones:
                for number in range(count):
                    client = open_ones.enter_context(opened(server))
                    with suppress(OSError):  # it has been told, and has not listened
                        client.sendall(head.replace(b"Transfer", json_type) + rest)
                    if number % 50 == 0:
                        grown()
                time.sleep(MAX_INTERVAL_SECONDS)
                print(name, grown())
        assert most <= 64 * 1024 * 1024

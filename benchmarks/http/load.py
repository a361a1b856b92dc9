"""Load: requests over keep-alive connections, each sent when the one before was answered.

Bytes in, bytes out: a client that costs little beside the server it measures, as both share the cores.
"""

import asyncio
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass
class Load:
    """What came of it: answers by status, and seconds that each took."""

    seconds: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)

    @property
    def answered(self) -> int:
        return len(self.latencies)

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds

    def percentile(self, share: float) -> float:
        """Seconds within which this share of the answers came."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """One HTTP/1.1 request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def run(port: int, requests: Iterator[bytes], *, connections: int, seconds: float) -> Load:
    """Send for so long. Raises ConnectionError when the server hangs up."""
    load, loop = Load(), asyncio.get_running_loop()
    until = time.perf_counter() + seconds
    lines = [
        (await loop.create_connection(lambda: _Line(load, requests, until, loop.create_future()), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    begun = time.perf_counter()
    for line in lines:
        line.send()
    await asyncio.gather(*(line.done for line in lines))
    load.seconds = time.perf_counter() - begun
    return load


class _Line(asyncio.Protocol):
    def __init__(self, load: Load, requests: Iterator[bytes], until: float, done: "asyncio.Future[None]") -> None:
        self.done = done
        self._load = load
        self._requests = requests
        self._until = until
        self._received = b""
        self._wanted = 0
        self._sent = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError("the server hung up"))

    def send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, piece: bytes) -> None:
        self._received += piece
        if not self._wanted:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._received, 0, end + 2)
            self._wanted = end + 4 + (int(length[1]) if length else 0)
        if len(self._received) < self._wanted:
            return
        now = time.perf_counter()
        status = int(self._received[9:12])
        self._load.statuses[status] = self._load.statuses.get(status, 0) + 1
        self._load.latencies.append(now - self._sent)
        self._received, self._wanted = b"", 0
        if now < self._until:
            self.send()
        elif not self.done.done():
            self.done.set_result(None)
            self._transport.close()

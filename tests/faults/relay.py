"""Relay: a TCP relay between a client and PostgreSQL that delays, falls silent and cuts.

    with Relay("127.0.0.1", 5432) as relay:
        url = url.set(host="127.0.0.1", port=relay.port)
        relay.cut_at(COMMIT, Moment.AFTER)     # the server commits; its answer never arrives

Runs in a thread with a loop of its own, so that a test whose loop is blocked doesn't stop it; its methods may be called
from any thread and hold at once. A cut is an RST. What one side sent in one piece is looked at in one piece, so a
pattern must be part of one message; drivers send a short Query in one.
"""

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from types import TracebackType
from typing import Any, Final, Self

COMMIT: Final = b"Q\x00\x00\x00\x0cCOMMIT;\x00"
"""The whole message by which asyncpg commits."""
ROLLBACK: Final = b"Q\x00\x00\x00\x0eROLLBACK;\x00"
CHUNK: Final = 65536


class Moment(Enum):
    """When a pattern that the client sent makes the relay cut its connection."""

    BEFORE = auto()
    """Instead of forwarding it: the server never sees it."""
    AFTER = auto()
    """Once the server has answered it; the answer is thrown away."""
    AT_ONCE = auto()
    """Right after forwarding it, on both sides: the server may see it or not get to it."""


@dataclass
class _Order:
    pattern: bytes
    moment: Moment
    times: int
    then_to: int | None


class Relay:
    """Listens on a free port of the loopback address for as long as its block."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._lines: set[_Line] = set()
        self._orders: list[_Order] = []
        self._lock = threading.Lock()
        self._flowing = asyncio.Event()
        self._refusing = False
        self._finish = asyncio.Event()
        self.delay = 0.0
        """Seconds that each piece is held back, in both directions."""
        self.port = 0
        self.round_trips = 0
        """How often a client spoke after it had been answered, over all connections; opening one takes some."""
        self.cuts = 0
        """How many connections an order of `cut_at` has cut."""

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._listening.wait(10):
            msg = "the relay did not start"
            raise RuntimeError(msg)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._finish.set)
        self._thread.join(10)

    def pause(self) -> None:
        """Forward nothing more, and keep every connection open: a black hole."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def resume(self) -> None:
        """Forward again, what was held back first."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def cut(self) -> None:
        """Reset every connection now."""
        self._loop.call_soon_threadsafe(self._cut_all)

    def refuse(self, *, refusing: bool = True) -> None:
        """Reset every new connection at once, or take them again."""
        self._refusing = refusing

    def lead_to(self, port: int) -> None:
        """Lead new connections to another port of the same host, as an address does that moves with the primary."""
        self._target = (self._target[0], port)

    def cut_at(self, pattern: bytes, moment: Moment, *, times: int = 1, then_to: int | None = None) -> None:
        """Cut the next so many connections on which the client sends the pattern; from then on, lead to another port
        if one is given.
        """
        with self._lock:
            self._orders.append(_Order(pattern, moment, times, then_to))

    def taken_order(self, piece: bytes) -> Moment | None:
        """For a line: whether it is to be cut at this piece. Counts the order down."""
        with self._lock:
            for order in self._orders:
                if order.pattern in piece:
                    order.times -= 1
                    if not order.times:
                        self._orders.remove(order)
                    self.cuts += 1
                    if order.then_to is not None:
                        self.lead_to(order.then_to)
                    return order.moment
        return None

    async def hold_back(self) -> None:
        """For a line: as long as a piece is not to be forwarded yet."""
        if self.delay:
            await asyncio.sleep(self.delay)
        await self._flowing.wait()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._flowing.set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._finish.wait()
        server.close()
        self._cut_all()
        while self._lines:  # noqa: ASYNC110 - a cut line ends by itself; cancelled, it would complain in the log
            await asyncio.sleep(0.005)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = _Line(self, reader, writer)
        self._lines.add(line)
        try:
            if not self._refusing:
                await line.carry(*self._target)
        finally:
            self._lines.discard(line)
            line.cut()

    def _cut_all(self) -> None:
        for line in list(self._lines):
            line.cut()


class _Line:
    """One connection, both sides of it."""

    def __init__(self, relay: Relay, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._relay = relay
        self._client = (reader, writer)
        self._writers = [writer]
        self._answered = False
        self._swallow = False

    async def carry(self, host: str, port: int) -> None:
        try:
            server = await asyncio.open_connection(host, port)
        except OSError:
            return
        self._writers.append(server[1])
        ways = [asyncio.create_task(self._to_server(server[1])), asyncio.create_task(self._to_client(server[0]))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    def cut(self) -> None:
        for writer in self._writers:
            _reset(writer)

    async def _to_server(self, server: asyncio.StreamWriter) -> None:
        while piece := await _read(self._client[0]):
            if self._answered:
                self._answered = False
                self._relay.round_trips += 1
            await self._relay.hold_back()
            moment = self._relay.taken_order(piece)
            if moment is Moment.BEFORE:
                return
            self._swallow = moment is Moment.AFTER
            server.write(piece)
            await _drain(server)
            if moment is Moment.AT_ONCE:
                return

    async def _to_client(self, server: asyncio.StreamReader) -> None:
        while piece := await _read(server):
            self._answered = True
            await self._relay.hold_back()
            if self._swallow:
                return
            self._client[1].write(piece)
            await _drain(self._client[1])


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(CHUNK)
    except OSError:
        return b""


async def _drain(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # the reading side ends the line
        await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    raw: Any = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        # Without lingering, closing sends RST instead of FIN.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()

"""BoundedProtocol: uvicorn's protocol of one connection, with bounds on what a client may send and in which time.

Bytes are counted where the parser tells of them: one piece of data may hold the end of a body and several heads. What
the parser keeps to itself until it is whole, such as a header, is bounded by feeding slices: `_silent` is what was fed
since it last told of anything.
"""

import asyncio
import re
from typing import Any, Final

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from app.serving import refusal as refusals
from app.serving.head import JUDGED, refusal_of
from app.serving.open_connections import OpenConnections
from app.serving.refusal import MAX_HEAD_BYTES, MAX_HEADERS, MAX_TARGET_BYTES, Refusal, too_many_requests
from app.serving.slow_down import DELAY_SECONDS

SLICE_BYTES: Final = 16_384
"""Bytes that are fed to the parser at once: what a head may exceed its limit by."""
MAX_PIPELINED: Final = 100
"""Requests that wait behind the one that is being answered. The connection is closed behind the last of them, and the
client sends the rest again (RFC 9112, section 9.3.2).
"""
BODY_BYTES_PER_SECOND: Final = 8192
"""Rate at which a body earns time in addition to its timeout."""
FREE_FRAMING_BYTES: Final = 32
"""Bytes of framing that each piece of a body may have besides as many as it has content."""
LINGER_SECONDS: Final = 2.0
LINGER_BYTES: Final = 1_048_576
"""Time and bytes for which a refused client is still read from. Closing at once would reset the connection, and
the client would often lose the answer.
"""
LIVENESS: Final = b"/health/live"
"""Answered beyond `limit_concurrency` too: a busy process must not be taken for a dead one."""
BETWEEN, HEAD, BODY = range(3)
"""Parts of the stream that the client's next byte may belong to: the next request, a request line or headers, a body
or its trailers. Numbers, as an Enum's members take a look-up more, for each header.
"""
_REQUEST_LINE: Final = re.compile(rb"[^\r\n]* HTTP/[0-9.]+\r?\n")


class Refused(Exception):
    """Stops the parser: raised in its callbacks."""


class BoundedProtocol(HttpToolsProtocol):
    """Connection that answers what is too large, too slow or no HTTP by a problem document, and closes.

    It has no timer: `OpenConnections` checks the deadlines of all. uvicorn's keep-alive timer is not used either.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        open_connections: OpenConnections,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.held = 0
        self.url = b""
        self._application = self.app
        self._limit, self.limit_concurrency = self.limit_concurrency, None  # judged here
        self._open = open_connections
        self._settings = open_connections.settings
        self._phase = BETWEEN
        self._silent = self._head_bytes = self._lines = self._received = 0
        self._judged: dict[bytes, list[bytes]] = {}
        self._line: bytes | None = None
        """The request line so far, while it is incomplete."""
        self._opened = self._since = self._idle_since = self._last = 0.0
        """Moments of the loop's clock: of opening; at which head or body began (0: not noted yet); at which the last
        response ended; of the last piece of a body.
        """
        self._body_extra = 0.0
        """Seconds that a body isn't charged with, as the server didn't read."""
        self._deaf = False
        """True if nothing more is parsed: the connection ends after what is under way."""
        self._refusal: Refusal | None = None
        self._linger_until = 0.0
        self._linger_bytes = LINGER_BYTES
        self._unsent: int | None = None
        self._unsent_since = 0.0
        self._held_back: bytearray | None = None
        """Bytes that a slowed client has sent, until they are parsed."""

    # The transport's calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._opened = self.loop.time()
        self._open.opened(self, self.loop)
        if self.client is not None and self._open.refusals.slows(self.client[0]):
            self._held_back = bytearray()
            self.loop.call_later(DELAY_SECONDS, self._parse_held_back)

    def _parse_held_back(self) -> None:
        data, self._held_back = self._held_back, None
        if data is not None and not self.transport.is_closing():
            self.flow.resume_reading()
            if data:
                self.data_received(bytes(data))

    def connection_lost(self, exc: Exception | None) -> None:
        self._held_back = None  # nothing is begun for a client that is gone
        self._open.ended(self)
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        self._unsent = None  # the client has read: what is unsent after the next check is of another piece
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._held_back is not None:
            self._held_back += data
            if len(self._held_back) > SLICE_BYTES:
                self.flow.pause_reading()
            return
        if self._deaf:
            self._linger_bytes -= len(data)
            if self._linger_bytes < 0:
                if self._linger_until:
                    self.transport.close()
                else:
                    self.flow.pause_reading()
            return
        fresh = self._phase is BETWEEN
        if len(data) <= SLICE_BYTES:
            self._feed(data)
        else:
            whole = memoryview(data)
            for start in range(0, len(data), SLICE_BYTES):
                self._feed(whole[start : start + SLICE_BYTES])
                if self._deaf:
                    return
        if self._phase is not BETWEEN and not self._deaf:
            self._unfinished(data, fresh=fresh)

    def _feed(self, piece: bytes | memoryview) -> None:
        self._silent += len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:  # where the answer ends, the client may speak another protocol or HTTP
                self._end_after_answer()
        except httptools.HttpParserError as error:
            if self._deaf:
                return
            if self._refusal is None and len(self.pipeline) >= MAX_PIPELINED:
                self._end_after_answer()
                return
            reason = "" if isinstance(error, httptools.HttpParserCallbackError) else f": {error}"
            malformed = refusals.MALFORMED
            self._refuse(self._refusal or malformed._replace(detail=malformed.detail + reason))
        else:
            if self._silent > MAX_HEAD_BYTES or (
                self._phase is HEAD and self._silent + self._head_bytes > MAX_HEAD_BYTES
            ):
                self._refuse(refusals.FRAMING if self._phase is BODY else refusals.HEADERS_TOO_LARGE)

    def _unfinished(self, data: bytes, *, fresh: bool) -> None:
        """Note a piece of data after which a head or a body goes on."""
        now = self.loop.time()
        if self._phase is BODY:
            self._since = self._since or now
            self._last = now
            self._received += len(data)
            if self._idles():
                self._open.idle(self)
                if not self.cycle.response_complete:
                    self._open.received(self, len(data))
            return
        self._since = self._since or (self._opened if self.cycle is None else now)
        # HTTP/0.9 has no empty line to wait for, and the parser tells of no line.
        if fresh:
            self._line = b""
        if self._line is not None:
            self._line = (self._line + data).lstrip(b"\r\n")  # empty lines may come before it
            if b"\n" in self._line:
                if not _REQUEST_LINE.match(self._line):
                    self._refuse(refusals.UNKNOWN_VERSION)
                self._line = None

    # The parser's calls

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise Refused
        super().on_message_begin()
        self._phase = HEAD
        self._silent = self._head_bytes = self._lines = 0
        self._since = 0.0
        self._judged = {}
        self._line = None

    def on_url(self, url: bytes) -> None:
        self._silent = 0
        self._head_bytes += len(url)
        self.url += url
        if self._head_bytes > MAX_TARGET_BYTES:
            self._stop(refusals.TARGET_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._silent = 0
        self._lines += 1
        self._head_bytes += len(name) + len(value) + 4
        if self._lines > MAX_HEADERS or self._head_bytes > MAX_HEAD_BYTES:
            self._stop(refusals.HEADERS_TOO_LARGE)
        if self._phase is BODY:
            return  # a trailer, which nothing here reads
        name = name.lower()
        if name in JUDGED:
            judged = value.rstrip(b" \t")  # the parser takes blanks away in front alone
            self._judged.setdefault(name, []).append(judged)
            if name == b"expect" and judged.lower() == b"100-continue":
                self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        refusal = refusal_of(self.parser.get_http_version(), self._judged, upgrades=self.parser.should_upgrade())
        if refusal is not None:
            self._stop(refusal)
        busy = self._limit is not None and len(self.tasks) >= self._limit and self.url != LIVENESS
        self.app = too_many_requests if busy else self._application
        super().on_headers_complete()
        self._phase = BODY
        self._silent = self._received = 0
        self._since = self._body_extra = 0.0

    def on_body(self, body: bytes) -> None:
        self._silent = max(0, self._silent - 2 * len(body) - FREE_FRAMING_BYTES)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._phase = BETWEEN
        self._silent = 0
        if self._answers():
            self._open.busy(self)
        else:  # answered before its end
            self._idle_since = self.loop.time()

    def _stop(self, refusal: Refusal) -> None:
        self._refusal = refusal
        raise Refused

    # What is under way

    def on_response_complete(self) -> None:
        """Start the next request that waits, as uvicorn does, without a timer."""
        self.server_state.total_requests += 1
        self._open.released(self)
        if self.transport.is_closing():
            return
        if not self._deaf:
            self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self._refusal is not None:
            self._send_refusal(self._refusal)
            return
        if self._idles():
            self._idle_since = self.loop.time()
            if self._phase is HEAD:
                self._since = self._idle_since
            self._open.idle(self)

    def handle_websocket_upgrade(self) -> None:
        self._deaf = True
        self._open.ended(self)
        super().handle_websocket_upgrade()

    def _answers(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _idles(self) -> bool:
        """True if no complete request is under way: the only one, if any, lacks the end of its body."""
        return not self._answers() or (self._phase is BODY and not self.pipeline)

    @property
    def awaits_client(self) -> bool:
        """False while the server keeps the client from sending: it reads nothing, or hasn't yet asked for a body."""
        return not self.flow.read_paused and not (self._answers() and self.cycle.waiting_for_100_continue)

    # Ends

    def _end_after_answer(self) -> None:
        """Parse no more, and close behind the answers that are under way."""
        self._deaf = True
        if self._answers():
            self.cycle.keep_alive = False
            self.flow.resume_reading()  # what is left unread when a connection is closed resets it
        else:
            self.transport.close()

    def _refuse(self, refusal: Refusal) -> None:
        """Parse no more, and answer with a refusal after the answers that are under way."""
        self._deaf = True
        self._refusal = refusal
        cycle = self.cycle
        if self._answers() and self._phase is BODY:
            if self.pipeline:  # it is the last of those that wait, and has not been started
                self.pipeline.popleft()
            else:
                cycle.disconnected = True
                cycle.waiting_for_100_continue = False
                cycle.message_event.set()
                if cycle.response_started:
                    self.transport.close()
                else:
                    self._send_refusal(refusal)
        elif self._answers():
            self.flow.pause_reading()
        elif self._phase is BODY:  # the rest of a body that was answered without
            self.transport.close()
        else:
            self._send_refusal(refusal)

    def _send_refusal(self, refusal: Refusal) -> None:
        self._open.released(self)
        if self.client is not None:
            self._open.refusals.refused(self.client[0], refusal.status)
        self.transport.write(refusal.encoded(self.url, self.server_state.default_headers))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._linger_until = self.loop.time() + LINGER_SECONDS
        self.flow.resume_reading()
        self._open.idle(self)

    def close_idle(self) -> None:
        self.transport.close()

    def refuse_body(self) -> None:
        self._refuse(refusals.TOO_MANY_BODIES)

    def check(self, now: float, elapsed: float) -> None:
        """Close the connection, or refuse what is half-sent, if its deadline has passed."""
        if self._stalls(now):
            self.transport.abort()
        elif self.transport.is_closing():
            return
        elif self._linger_until:
            if now >= self._linger_until:
                self.transport.close()
        elif self._deaf:
            return
        elif self._phase is BODY:
            self._check_body(now, elapsed)
        elif self._answers():
            return
        elif self._phase is HEAD:
            if now >= self._since + self._settings.head_timeout:
                self._refuse(refusals.HEAD_TIMEOUT)
        elif self.cycle is None:
            if now >= self._opened + self._settings.head_timeout:
                self.transport.close()
        elif now >= self._idle_since + self._settings.keep_alive_timeout:
            self.transport.close()

    def _check_body(self, now: float, elapsed: float) -> None:
        settings = self._settings
        if not self._since:
            self._since = now
        if not self.awaits_client:
            self._body_extra += elapsed
            return
        allowed = settings.body_timeout + self._body_extra + self._received / BODY_BYTES_PER_SECOND
        unwanted = (
            self.cycle.response_complete and now >= max(self._last, self._idle_since) + settings.keep_alive_timeout
        )
        if unwanted or now >= self._since + allowed:
            self._refuse(refusals.BODY_TIMEOUT)

    def _stalls(self, now: float) -> bool:
        """True if the client has read nothing of an answer for the write timeout."""
        if not self.flow.write_paused and not self.transport.is_closing():
            self._unsent = None
            return False
        unsent = self.transport.get_write_buffer_size()
        if not unsent:
            return False
        if self._unsent is None or unsent < self._unsent:
            self._unsent, self._unsent_since = unsent, now
        return now >= self._unsent_since + self._settings.write_timeout

"""RequestContext: middleware that sets the request id, and answers the errors that no layer inside it answered."""

import asyncio
import logging
import re
import time
import uuid
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.body_limit import BodyLimits
from app.api.problems import problem, problem_for
from app.serving.refusal import HEADERS_TOO_LARGE, MAX_HEADER_BYTES, MAX_HEADERS
from app.trace_context import HEADER as TRACE_PARENT
from app.trace_context import continued_trace
from unitwork.models import bound_request_id
from unitwork.monitor import work

log = logging.getLogger("gatehouse.access")

HEADER: Final = "X-Request-ID"
SUMMARY: Final = "X-SQL-Summary"
"""Header with the number and duration of SQL statements, sent in debug mode."""
_ACCEPTABLE: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


class RequestContext:
    """Takes X-Request-ID over when it is harmless text of at most 128 characters, else makes one; echoes it. Continues
    the trace of a `traceparent`.

    Too many headers, or too large ones, are answered 431. A body whose declared length is above the limit is answered
    413 unread, an error that reached nobody 500, and a request that is cancelled, as by a server that stops, 503.
    """

    def __init__(self, app: ASGIApp, limits: BodyLimits, *, debug: bool = False) -> None:
        self._app = app
        self._limits = limits
        self._debug = debug

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = headers.get(HEADER, "")
        if not _ACCEPTABLE.fullmatch(request_id):
            request_id = uuid.uuid4().hex
        started = 0
        begun = time.perf_counter()

        async def send_named(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = message["status"]
                answered = MutableHeaders(scope=message)
                answered[HEADER] = request_id
                if self._debug:
                    answered[SUMMARY] = done.summary()
                took = (time.perf_counter() - begun) * 1000
                # The path alone: the query holds what people search for.
                log.info("%s %s %d %.1f ms", scope["method"], quote(scope["path"]), started, took)
            await send(message)

        trace = continued_trace(headers.get(TRACE_PARENT))
        with bound_request_id(request_id), trace, work("request") as done:
            refusal = self._refusal(scope, headers) if scope["type"] == "http" else None
            if refusal is not None:
                await refusal(scope, receive, send_named)
                return
            try:
                await self._app(scope, receive, send_named)
            except (Exception, asyncio.CancelledError) as error:
                if started or scope["type"] != "http":
                    raise
                response = problem_for(error, scope["path"])
                await response(scope, receive, send_named)
                if isinstance(error, asyncio.CancelledError):
                    raise

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the answer to a request whose address, headers or declared body is too large; None otherwise."""
        sizes = [len(name) + len(value) for name, value in headers.raw]
        if len(sizes) > MAX_HEADERS or sum(sizes) > MAX_HEADER_BYTES:
            return problem(*HEADERS_TOO_LARGE, scope["path"])
        length = headers.get("content-length", "0")
        limit = self._limits.of(scope)
        # Python refuses to read an int of some thousand digits.
        if length.isdecimal() and (len(length) > 18 or int(length) > limit):
            detail = f"the body is larger than {limit} bytes"
            return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "content_too_large", detail, scope["path"])
        return None

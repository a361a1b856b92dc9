"""ReadPositions: middleware that lets a request's reads use replicas, never older than what its client has stored.

A client sends back the position that an earlier answer told it, as a header or as a cookie.
"""

from contextlib import nullcontext
from http import HTTPStatus
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.authentication import serving
from unitwork import LIFETIME_SECONDS, PositionTokens, Told, reading_after, reads_from_primary
from unitwork.errors import EngineNotStarted

POSITION: Final = "X-Gatehouse-Position"
"""Header of a position token, in answers and in later requests."""
READ_FROM: Final = "X-Gatehouse-Read-From"
"""Header that names who served the answer's reads: `primary`, `replica` or both."""
COOKIE: Final = "gatehouse_position"
READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
CONFLICTS: Final = frozenset({HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED})
"""Answers after which the client reads what it was in conflict with."""


class ReadPositions:
    """Bind what the request's reads must not be older than. Only GET and HEAD read from replicas: what other methods
    read decides about what they write. Answers say what to read after once something was stored.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        try:
            tokens: PositionTokens = serving(scope["app"]).position_tokens()
        except EngineNotStarted:
            await self._app(scope, receive, send)
            return
        writing = scope["type"] == "http" and scope["method"] not in READING
        with reading_after(_told(scope, tokens)) as causality, reads_from_primary() if writing else nullcontext():

            async def send_position(message: Message) -> None:
                if message["type"] == "http.response.start":
                    headers = MutableHeaders(scope=message)
                    if causality.read_from:
                        headers[READ_FROM] = ", ".join(sorted(causality.read_from))
                    status = message["status"]
                    if writing and not causality.to_tell and (status < HTTPStatus.BAD_REQUEST or status in CONFLICTS):
                        # Nothing was stored now: it is there already, as after a repeated request.
                        causality.see_everything()
                        causality.to_tell = True
                    if causality.to_tell:
                        _tell(tokens.write(causality.told), headers, secure=scope["scheme"] == "https")
                await send(message)

            await self._app(scope, receive, send_position)


def _told(scope: Scope, tokens: PositionTokens) -> Told:
    """Return what the client sends back, as a header, a cookie or both."""
    request = HTTPConnection(scope)
    return tokens.read(request.headers.get(POSITION)).together(tokens.read(request.cookies.get(COOKIE)))


def _tell(token: str, headers: MutableHeaders, *, secure: bool) -> None:
    headers[POSITION] = token
    rules = f"Max-Age={LIFETIME_SECONDS}; Path=/; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"
    headers.append("Set-Cookie", f"{COOKIE}={token}; {rules}")

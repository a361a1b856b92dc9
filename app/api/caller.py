"""Caller: middleware that lets services notice that the client has hung up."""

import asyncio
from collections import deque
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.caller import bound_caller

MAX_EARLY_BYTES: Final = 65_536
"""Bytes of a body that are read ahead of the endpoint, to learn whether the client has hung up behind them."""


class Caller:
    """Bind a function that waits for the client's disconnect. It reads the connection only while it is awaited; what it
    reads of the body is kept for the endpoint.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        early: deque[Message] = deque()

        async def receive_body() -> Message:
            return early.popleft() if early else await receive()

        async def gone() -> None:
            kept = 0
            while kept <= MAX_EARLY_BYTES:
                message = await receive()
                early.append(message)
                if message["type"] == "http.disconnect":
                    return
                kept += len(message.get("body", b""))
            await asyncio.Event().wait()  # a client with so much to send is there

        with bound_caller(gone):
            await self._app(scope, receive_body, send)

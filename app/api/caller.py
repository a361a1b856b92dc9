"""Caller: middleware that lets services notice that the client has hung up."""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.caller import bound_caller

WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods whose endpoints read no body."""


class Caller:
    """Bind a function that waits for the client's disconnect. It reads the connection only while it is awaited, and
    only after the body was read to its end.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body_read = asyncio.Event()
        if scope["method"] in WITHOUT_BODY:
            body_read.set()

        async def receive_body() -> Message:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                body_read.set()
            return message

        async def gone() -> None:
            await body_read.wait()
            while (await receive())["type"] != "http.disconnect":
                pass

        with bound_caller(gone):
            await self._app(scope, receive_body, send)

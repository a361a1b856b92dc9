"""BodyLimit: the number of bytes a request may have, by its route."""

import re
from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI
from starlette.middleware.body_limit import RequestBodyLimitResponder
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.access import path_of, path_pattern

ENVELOPE_BYTES: Final = 65_536
"""Bytes that a multipart body may have in addition to its file."""


class BodyLimits:
    """Limits of one application: `usual_bytes`, and other ones for the routes that have a line."""

    def __init__(self, usual_bytes: int, by_route: Mapping[str, int]) -> None:
        self._usual_bytes = usual_bytes
        self._routes: dict[str, list[tuple[re.Pattern[str], int]]] = {}
        for line, limit_bytes in by_route.items():
            self.add(line, limit_bytes)

    def add(self, line: str, limit_bytes: int) -> None:
        """Set the limit of a route, `"POST /path/{parameter}"`. For applications that extend this one."""
        method, _, path = line.partition(" ")
        self._routes.setdefault(method, []).insert(0, (path_pattern(path), limit_bytes))

    def of(self, scope: Scope) -> int:
        """Return the limit for this request in bytes; of two lines that match, the one added last counts."""
        for pattern, limit_bytes in self._routes.get(scope["method"], ()):
            if pattern.fullmatch(path_of(scope)):
                return limit_bytes
        return self._usual_bytes


def body_limits(app: FastAPI) -> BodyLimits:
    """Return the application's limits."""
    limits: BodyLimits = app.state.body_limits
    return limits


class BodyLimit:
    """Answer 413 as soon as a body exceeds its limit, whatever length it declared."""

    def __init__(self, app: ASGIApp, limits: BodyLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await RequestBodyLimitResponder(self._app, self._limits.of(scope))(scope, receive, send)

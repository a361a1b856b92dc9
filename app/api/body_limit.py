"""BodyLimit: how many bytes a request may have, by its path."""

from collections.abc import Mapping
from typing import Final

from starlette.middleware.body_limit import RequestBodyLimitResponder
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.access import path_of

ENVELOPE: Final = 65_536
"""Bytes that a multipart body may have in addition to its file."""


class BodyLimits:
    """The bytes a request may have: `usual`, and for the paths in `files`, which take a file, more."""

    def __init__(self, usual: int, files: Mapping[str, int]) -> None:
        self._usual = usual
        self._files = {path: size + ENVELOPE for path, size in files.items()}

    def of(self, scope: Scope) -> int:
        """Return the limit for this request."""
        return self._files.get(path_of(scope), self._usual)


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

"""X-Forwarded-Prefix: the path prefix under which a proxy serves this application."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

HEADER: Final = "X-Forwarded-Prefix"
_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
MAX_LENGTH: Final = 256


class ForwardedPrefix:
    """Take the root path from X-Forwarded-Prefix, so that Location, Link and problem documents hold the paths that the
    client sees. The header counts only when a trusted proxy sent it.
    """

    def __init__(self, app: ASGIApp, proxies: Sequence[IPv4Network | IPv6Network]) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {"http", "websocket"}:
            prefix = Headers(scope=scope).get(HEADER, "").rstrip("/")
            if prefix and len(prefix) <= MAX_LENGTH and _PREFIX.fullmatch(prefix) and self._trusted(scope):
                below = scope["path"] == prefix or scope["path"].startswith(f"{prefix}/")
                path = scope["path"] if below else prefix + scope["path"]
                scope = {**scope, "path": path, "root_path": prefix + scope.get("root_path", "")}
        await self._app(scope, receive, send)

    def _trusted(self, scope: Scope) -> bool:
        client = scope.get("client")
        try:
            address = ip_address(client[0] if client else "")
        except ValueError:
            return False
        return any(address in network for network in self._proxies)

"""Authentication: from the bearer token to the acting user. Everything below the prefix needs one."""

from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import problem_for
from database.errors import DatabaseError
from domain import acting_as
from domain.errors import NotAuthenticated

STATE_KEY: Final = "acting_user"


class Authentication:
    """Sets the acting user for the whole request. Denies by default: no token, no endpoint.

    Pure ASGI, so that what it sets reaches the endpoint and everything the endpoint starts.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix + "/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Mounted below another path, that path comes first.
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if scope["type"] not in {"http", "websocket"} or not path.startswith(self._prefix):
            await self._app(scope, receive, send)
            return
        try:
            service = scope["app"].state.container.auth_service()
            user = await service.authenticate(_bearer(Headers(scope=scope)))
        except (NotAuthenticated, DatabaseError) as error:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await problem_for(error, scope["path"])(scope, receive, send)
            return
        scope.setdefault("state", {})[STATE_KEY] = user
        with acting_as(user.id):
            await self._app(scope, receive, send)


def _bearer(headers: Headers) -> str:
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret:
        raise NotAuthenticated
    return secret.strip()

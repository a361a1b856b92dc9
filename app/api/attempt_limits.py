"""AttemptLimits: middleware that counts attempts by address, before a byte of the body is read."""

from collections.abc import Mapping
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.access import path_of
from app.api.authentication import serving
from app.api.problems import problem_for
from domain.client_address import current_client_address
from domain.errors import TooManyAttempts

PURPOSES: Final[Mapping[str, str]] = {
    "POST /v1/auth/register": "register",
    "POST /v1/auth/login": "login",
    "POST /v1/auth/refresh": "refresh",
    "POST /v1/auth/logout": "logout",
    "POST /v1/auth/verify/request": "verify",
    "POST /v1/auth/verify": "link",
    "POST /v1/auth/recover": "recover",
    "POST /v1/auth/recover/confirm": "link",
    "POST /v1/auth/invitation/accept": "link",
}
"""Purpose of each counted route, as in `RateLimits`. All of them are open to anyone."""


class AttemptLimits:
    """Middleware, inside `Authentication`, which binds the client's address. Attempts on an account are counted by the
    services, as only they know which account is meant.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        purpose = PURPOSES.get(f"{scope['method']} {path_of(scope)}") if scope["type"] == "http" else None
        if purpose is not None:
            try:
                await serving(scope["app"]).rate_limits().hit_address(purpose, current_client_address())
            except TooManyAttempts as error:
                await problem_for(error, scope["path"])(scope, receive, send)
                return
        await self._app(scope, receive, send)

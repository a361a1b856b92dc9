"""Authentication: resolves the bearer token to the acting user and applies the access table."""

from typing import Any, Final

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.access import PREFIX, Access, Address, Listed, access_table, check, from_loopback, method_of, path_of
from app.api.problems import problem_for
from app.api.scopes import scope_of
from containers import Container
from domain import User
from domain.client_address import bound_client_address
from domain.errors import NotAllowed, NotAuthenticated
from domain.token import kind_of
from domain.user_agent import bound_user_agent
from services.security_events import SecurityEvent
from unitwork import admitted
from unitwork.errors import DatabaseError, EngineNotStarted
from unitwork.models import SYSTEM, acting_as

STATE_KEY: Final = "acting_user"
POLICY_VIOLATION: Final = 1008
TRY_AGAIN_LATER: Final = 1013
"""Codes with which a WebSocket is closed (RFC 6455)."""


def serving(app: FastAPI) -> Container:
    """Return the container that an application serves. Raises `EngineNotStarted` when neither its lifespan nor a caller
    has set one.
    """
    container: Container | None = app.state.container
    if container is None:
        raise EngineNotStarted
    return container


class Authentication:
    """Set the acting user for the whole request, HTTP or WebSocket, or refuse it. Denies by default: below the prefix
    every path that the table doesn't open to anyone needs a token, even one without a route.

    Pure ASGI, so that its context variables reach the endpoint and every task that the endpoint starts.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        path = path_of(scope)
        address = access_table(scope["app"]).address(path)
        listed = None if address is None else address.find(method_of(scope))
        agent = Headers(scope=scope).get("user-agent")
        with bound_client_address(client_address(scope)), bound_user_agent(agent):
            if _open(address, scope, below=path.startswith(f"{PREFIX}/")):
                # No acting user exists: a client that registers has no account yet.
                with acting_as(SYSTEM):
                    await self._app(scope, receive, send)
                return
            try:
                if listed is not None and listed.access is Access.INTROSPECTION:
                    await self._introspect(scope, receive, send)
                    return
                user = await _user(scope, address)
                if listed is not None:
                    await _check(listed, user, scope)
            except (NotAuthenticated, NotAllowed, DatabaseError) as error:
                await _refuse(error, scope, receive, send)
                return
            scope.setdefault("state", {})[STATE_KEY] = user
            with acting_as(user.id):
                await self._app(scope, receive, send)

    async def _introspect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request whose endpoint authenticates the caller by the statement that answers it. Raises
        `NotAuthenticated` for text that is no token.
        """
        if kind_of(bearer_token(Headers(scope=scope))) is None:
            raise NotAuthenticated
        with acting_as(SYSTEM):
            await self._app(scope, receive, send)


def client_address(scope: Scope) -> str | None:
    """Return the client's address, as reported by trusted proxies; None over a Unix socket."""
    client: Any = scope.get("client")
    return None if client is None else str(client[0])


def _open(address: Address | None, scope: Scope, *, below: bool) -> bool:
    """True when the request needs no token: its line is open to anyone, or its method has no line at an address that
    has an open one.
    """
    if address is None:
        return not below
    listed = address.find(method_of(scope))
    if listed is None:
        return address.open or not below
    return listed.access is Access.ANYONE or (listed.access is Access.ADMIN_OR_LOOPBACK and from_loopback(scope))


async def _user(scope: Scope, address: Address | None) -> User:
    """Return the account that the token acts for. Raises `NotAllowed` for a key without the scope that the line
    needs.
    """
    secret = bearer_token(Headers(scope=scope))
    if not secret:
        raise NotAuthenticated
    container, kind = serving(scope["app"]), kind_of(secret)
    if container.replicas() is None:
        await admitted(container.engine())  # under overload most are refused: before the statement is made
    if kind is None or not kind.lasting:
        acting: User = await container.auth_service().authenticate(secret)
        return acting
    token, user = await container.access_service().authenticate(secret)
    needed = None if address is None else scope_of(method_of(scope), address.path)
    if not token.allows(needed):
        with acting_as(user.id):
            tried = f"{method_of(scope)} by a key without {needed or 'any scope for it'}"
            await container.security_events().record_seldom(SecurityEvent.NOT_ALLOWED, user_id=user.id, by=tried)
        raise NotAllowed
    return user


async def _check(listed: Listed, user: User, scope: Scope) -> None:
    """Raise `NotAllowed` when the rule denies the account, after recording a security event."""
    try:
        check(listed, user)
    except NotAllowed:
        events = serving(scope["app"]).security_events()
        tried = f"{method_of(scope)} for {listed.access}"
        with acting_as(user.id):
            await events.record_seldom(SecurityEvent.NOT_ALLOWED, user_id=user.id, by=tried)
        raise


def bearer_token(headers: Headers) -> str:
    """Return the bearer token of the Authorization header; empty without one."""
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


async def _refuse(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        code = TRY_AGAIN_LATER if isinstance(error, DatabaseError) else POLICY_VIOLATION
        await send({"type": "websocket.close", "code": code})
        return
    await problem_for(error, scope["path"])(scope, receive, send)

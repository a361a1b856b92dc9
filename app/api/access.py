"""AccessTable: the access rule of every route, in one table. A route without a line denies everybody.

`Authentication` applies it before the body is read. A route that has no line is logged and answers 403 to everybody;
tests check every route of the application.
"""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

from fastapi import FastAPI
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Mount
from starlette.types import Scope

from domain import User
from domain.errors import NotAllowed

PREFIX: Final = "/v1"
HEAD: Final = "HEAD"
WEBSOCKET: Final = "WEBSOCKET"
log = logging.getLogger("gatehouse.api")
UNLISTED: Final = "%s answers nobody: say who may call it, in app/api/access.py or by access_table(app).add(…)"


class Access(StrEnum):
    ANYONE = "anyone"
    BEARER = "bearer"
    """Any account, about itself: the path names none."""
    ADMIN_OR_SELF = "admin or self"
    """Admins, and the account that the path names as `user_id`; others don't learn whether it exists."""
    ADMIN = "admin"
    INTROSPECTION = "introspection"
    """Keys with the scope `introspect`, and admins; the endpoint checks, by the statement that answers."""
    ADMIN_OR_LOOPBACK = "admin or loopback"
    """Admins, and any client on this machine."""


TABLE: Final[Mapping[str, Access]] = {
    "POST /v1/auth/register": Access.ANYONE,
    "POST /v1/auth/login": Access.ANYONE,
    "POST /v1/auth/refresh": Access.ANYONE,
    "POST /v1/auth/logout": Access.ANYONE,
    "POST /v1/auth/logout-all": Access.BEARER,
    "POST /v1/auth/verify/request": Access.ANYONE,
    "POST /v1/auth/verify": Access.ANYONE,
    "POST /v1/auth/recover": Access.ANYONE,
    "POST /v1/auth/recover/confirm": Access.ANYONE,
    "POST /v1/auth/invitation/accept": Access.ANYONE,
    "POST /v1/auth/introspect": Access.INTROSPECTION,
    "GET /v1/users/me": Access.BEARER,
    "PATCH /v1/users/me": Access.BEARER,
    "POST /v1/users/me/password": Access.BEARER,
    "GET /v1/users/me/data": Access.BEARER,
    "GET /v1/users/me/sessions": Access.BEARER,
    "DELETE /v1/users/me/sessions": Access.BEARER,
    "DELETE /v1/users/me/sessions/{session_id}": Access.BEARER,
    "GET /v1/users/me/keys": Access.BEARER,
    "POST /v1/users/me/keys": Access.BEARER,
    "DELETE /v1/users/me/keys/{key_id}": Access.BEARER,
    "GET /v1/users": Access.ADMIN,
    "POST /v1/users": Access.ADMIN,
    "POST /v1/users/import": Access.ADMIN,
    "GET /v1/users/export": Access.ADMIN,
    "GET /v1/users/{user_id}": Access.ADMIN_OR_SELF,
    "PATCH /v1/users/{user_id}": Access.ADMIN_OR_SELF,
    "DELETE /v1/users/{user_id}": Access.ADMIN,
    "POST /v1/users/{user_id}/restore": Access.ADMIN,
    "GET /v1/users/{user_id}/history": Access.ADMIN_OR_SELF,
    "GET /v1/jobs": Access.ADMIN,
    "POST /v1/users/{user_id}/invitation": Access.ADMIN,
    "DELETE /v1/users/{user_id}/invitation": Access.ADMIN,
    "GET /v1/users/{user_id}/sessions": Access.ADMIN,
    "DELETE /v1/users/{user_id}/sessions": Access.ADMIN,
    "DELETE /v1/users/{user_id}/sessions/{session_id}": Access.ADMIN,
    "GET /v1/users/{user_id}/keys": Access.ADMIN,
    "POST /v1/users/{user_id}/keys": Access.ADMIN,
    "DELETE /v1/users/{user_id}/keys/{key_id}": Access.ADMIN,
    "GET /v1/jobs/{job_id}": Access.ADMIN,
    "DELETE /v1/jobs/{job_id}": Access.ADMIN,
    "GET /v1/audit": Access.ADMIN,
    "GET /health/live": Access.ANYONE,
    "GET /health/ready": Access.ANYONE,
    "GET /metrics": Access.ADMIN_OR_LOOPBACK,
    "GET /monitor": Access.ANYONE,
    "GET /monitor/{name}": Access.ANYONE,
    "GET /v1/monitor": Access.ADMIN,
    "GET /v1/monitor/feed": Access.ADMIN,
    "PATCH /v1/monitor/thresholds": Access.ADMIN,
    "GET /docs": Access.ANYONE,
    "GET /docs/{name}": Access.ANYONE,
    "GET /openapi.json": Access.ANYONE,
}
"""Access rules by method and path. The first path that matches a request is its address, as with routes; a method that
no line of this address names is not allowed there.
"""
DOCS: Final = frozenset({"GET /docs", "GET /docs/{name}", "GET /openapi.json"})
"""Lines of the routes that production doesn't serve."""


class Listed(NamedTuple):
    """Access rule of a request, and its path parameters."""

    access: Access
    parameters: Mapping[str, str]


class Address(NamedTuple):
    """One path of the table: its template, the access rule of each method, and the parameters taken from a request's
    path.
    """

    path: str
    lines: Mapping[str, Access]
    parameters: Mapping[str, str]

    @property
    def methods(self) -> Sequence[str]:
        """Return the methods for `Allow`: the listed ones, HEAD wherever there is GET, and OPTIONS."""
        listed = [method for method in self.lines if method != WEBSOCKET]
        if "GET" in listed and HEAD not in listed:
            listed.insert(listed.index("GET") + 1, HEAD)
        return [*listed, "OPTIONS"]

    @property
    def open(self) -> bool:
        """True when a method of the address is open to anyone; its list of methods is then public too."""
        return Access.ANYONE in self.lines.values()

    def find(self, method: str) -> Listed | None:
        """Return a method's access; None when the table has none. HEAD has GET's."""
        access = self.lines.get(method)
        if access is None and method == HEAD:
            access = self.lines.get("GET")
        return None if access is None else Listed(access, self.parameters)


class AccessTable:
    """The table of one application."""

    def __init__(self, table: Mapping[str, Access] = TABLE) -> None:
        self._addresses: dict[str, tuple[str, re.Pattern[str], dict[str, Access]]] = {}
        self._lines: set[str] = set()
        self._routes: dict[int, tuple[BaseRoute, list[str]]] = {}
        for line, access in table.items():
            self.add(line, access)

    def add(self, line: str, access: Access) -> None:
        """Add the access rule of a route, `"GET /path/{parameter}"`. For applications that extend this one."""
        self._lines.add(line)
        method, _, path = line.partition(" ")
        shape = re.sub(r"\{\w+", "{", path)
        _, _, lines = self._addresses.setdefault(shape, (path, path_pattern(path), {}))
        lines[method] = access

    def address(self, path: str) -> Address | None:
        """Return the address that matches a request's path; None when there is none."""
        for template, pattern, lines in self._addresses.values():
            if match := pattern.fullmatch(path):
                return Address(template, lines, match.groupdict())
        return None

    def find(self, method: str, path: str) -> Listed | None:
        """Return the access rule of a request; None when there is none. A WebSocket's method is `WEBSOCKET`."""
        address = self.address(path)
        return None if address is None else address.find(method)

    def has_line(self, line: str) -> bool:
        """True when the table has exactly this line, or for HEAD the line of GET."""
        return line in self._lines or (line.startswith("HEAD ") and f"GET {line.removeprefix('HEAD ')}" in self._lines)

    def unlisted(self, method: str, route: BaseRoute, app: FastAPI) -> str | None:
        """Return the line that the table lacks for a route; None when it has one. An earlier line that merely matches
        the route's requests doesn't count.
        """
        if id(route) not in self._routes:
            self._routes.clear()
            for context in iter_route_contexts(app.routes):
                known = self._routes.setdefault(id(context.original_route), (context.original_route, []))
                known[1].extend(_lines(context))
        _, lines = self._routes.get(id(route), (route, []))
        mine = [line for line in lines if line.startswith(f"{method} ")]
        return None if any(map(self.has_line, mine)) else (mine or [f"{method} {getattr(route, 'path', '')}"])[0]


def path_of(scope: Scope) -> str:
    """Return the path relative to the application's mount point, as the router computes it."""
    path: str = scope.get("path", "")
    root: str = scope.get("root_path", "")
    return path.removeprefix(root) if path == root or path.startswith(f"{root}/") else path


def method_of(scope: Scope) -> str:
    """Return the method as the table writes it: `WEBSOCKET` for a WebSocket."""
    return WEBSOCKET if scope["type"] == "websocket" else str(scope["method"])


def check(listed: Listed, user: User) -> None:
    """Raise `NotAllowed` when the rule denies this account."""
    if user.admin or listed.access in {Access.ANYONE, Access.BEARER}:
        return
    if listed.access is Access.ADMIN_OR_SELF and _same(listed.parameters.get("user_id", ""), user.id):
        return
    raise NotAllowed


def from_loopback(scope: Scope) -> bool:
    """True when the client's address, as reported by trusted proxies, is a loopback address."""
    client: Any = scope.get("client")
    try:
        return client is not None and ip_address(client[0]).is_loopback
    except ValueError:
        return False


async def listed_only(connection: HTTPConnection) -> None:
    """Raise `NotAllowed` for a route without a line in the table, and log the line that is missing."""
    scope, app = connection.scope, connection.app
    method, table = method_of(scope), access_table(app)
    line = table.unlisted(method, scope["route"], app)
    if line is not None:
        log.error(UNLISTED, line)
    if line is not None or table.find(method, path_of(scope)) is None:
        raise NotAllowed


def warn_of_unlisted(app: FastAPI) -> None:
    """Log every route that the table lacks; called at start-up."""
    for line in unlisted(app):
        log.error(UNLISTED, line)


def unlisted(app: FastAPI) -> Iterator[str]:
    """Yield the missing line of each route that the table lacks. Mounts need no line."""
    table = access_table(app)
    for context in iter_route_contexts(app.routes):
        for line in _lines(context):
            if not table.has_line(line):
                yield line


def forgotten(app: FastAPI, method: str, path: str) -> bool:
    """True when a route that the table lacks matches this request."""
    found = (line.partition(" ") for line in unlisted(app))
    return any(listed == method and path_pattern(template).fullmatch(path) for listed, _, template in found)


def _lines(context: RouteContext) -> Sequence[str]:
    if isinstance(context.original_route, Mount):
        return ()
    return [f"{method} {context.path}" for method in sorted(context.methods or {WEBSOCKET})]


def access_table(app: FastAPI) -> AccessTable:
    """Return the application's table."""
    table: AccessTable = app.state.access_table
    return table


def path_pattern(path: str) -> re.Pattern[str]:
    """Return the pattern of the paths that a template, `/path/{parameter}`, matches."""
    text = re.sub(r"\\{(\w+):path\\}", r"(?P<\1>.*)", re.escape(path))
    return re.compile(re.sub(r"\\{(\w+)(?::\w+)?\\}", r"(?P<\1>[^/]+)", text))


def _same(text: str, id: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 19 and int(text) == id

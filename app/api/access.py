"""Who may call what: the one table, and nothing that isn't in it.

`Authentication` asks it before a byte of the body is read; a route that has no line is named in the log and answers 403
to everybody, and tests walk over every route of the application.
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
    ADMIN_OR_LOOPBACK = "admin or loopback"
    """Admins, and whoever asks from this machine."""


TABLE: Final[Mapping[str, Access]] = {
    "POST /v1/auth/register": Access.ANYONE,
    "POST /v1/auth/login": Access.ANYONE,
    "POST /v1/auth/refresh": Access.ANYONE,
    "POST /v1/auth/logout": Access.ANYONE,
    "POST /v1/auth/logout-all": Access.BEARER,
    "GET /v1/users/me": Access.BEARER,
    "PATCH /v1/users/me": Access.BEARER,
    "POST /v1/users/me/password": Access.BEARER,
    "GET /v1/users": Access.ADMIN,
    "POST /v1/users": Access.ADMIN,
    "POST /v1/users/import": Access.ADMIN,
    "GET /v1/users/export": Access.ADMIN,
    "GET /v1/users/{user_id}": Access.ADMIN_OR_SELF,
    "PATCH /v1/users/{user_id}": Access.ADMIN_OR_SELF,
    "DELETE /v1/users/{user_id}": Access.ADMIN,
    "POST /v1/users/{user_id}/restore": Access.ADMIN,
    "GET /v1/users/{user_id}/history": Access.ADMIN_OR_SELF,
    "GET /v1/jobs/{job_id}": Access.ADMIN,
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
"""By method and path. Of several paths that fit a request the first one is its address, as with routes, and whatever
that one's lines don't name is no method of it.
"""
DOCS: Final = frozenset({"GET /docs", "GET /docs/{name}", "GET /openapi.json"})
"""The lines of what production doesn't serve."""


class Listed(NamedTuple):
    """What the table says of a request, and the parameters of its path."""

    access: Access
    parameters: Mapping[str, str]


class Address(NamedTuple):
    """One path of the table: who may use which method, and the parameters that a request's path gives it."""

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
        """True when some method of it is for anyone: then its methods are no secret either."""
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
        self._addresses: dict[str, tuple[re.Pattern[str], dict[str, Access]]] = {}
        self._lines: set[str] = set()
        self._routes: dict[int, tuple[BaseRoute, list[str]]] = {}
        for line, access in table.items():
            self.add(line, access)

    def add(self, line: str, access: Access) -> None:
        """One more route, `"GET /path/{parameter}"`. For an application that is built upon this one."""
        self._lines.add(line)
        method, _, path = line.partition(" ")
        shape = re.sub(r"\{\w+", "{", path)
        _, lines = self._addresses.setdefault(shape, (_pattern(path), {}))
        lines[method] = access

    def address(self, path: str) -> Address | None:
        """The address that a request's path is; None when the table has none."""
        for pattern, lines in self._addresses.values():
            if match := pattern.fullmatch(path):
                return Address(lines, match.groupdict())
        return None

    def find(self, method: str, path: str) -> Listed | None:
        """What is said of a request; None when nothing is. A WebSocket's method is `WEBSOCKET`."""
        address = self.address(path)
        return None if address is None else address.find(method)

    def has_line(self, line: str) -> bool:
        """True when the table has just this line, or GET's where it is HEAD's."""
        return line in self._lines or (line.startswith("HEAD ") and f"GET {line.removeprefix('HEAD ')}" in self._lines)

    def unlisted(self, method: str, route: BaseRoute, app: FastAPI) -> str | None:
        """The line that is missing for a route; None when the table has it. That an earlier line fits the route's
        requests isn't enough.
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
    """The path below where the application is mounted, as the router reads it."""
    path: str = scope.get("path", "")
    root: str = scope.get("root_path", "")
    return path.removeprefix(root) if path == root or path.startswith(f"{root}/") else path


def method_of(scope: Scope) -> str:
    """The method, as the table names it."""
    return WEBSOCKET if scope["type"] == "websocket" else str(scope["method"])


def check(listed: Listed, user: User) -> None:
    """Raises `NotAllowed` when this account may not."""
    if user.admin or listed.access in {Access.ANYONE, Access.BEARER}:
        return
    if listed.access is Access.ADMIN_OR_SELF and _same(listed.parameters.get("user_id", ""), user.id):
        return
    raise NotAllowed


def from_loopback(scope: Scope) -> bool:
    """Whether the client is on this machine, as far as trusted proxies tell."""
    client: Any = scope.get("client")
    try:
        return client is not None and ip_address(client[0]).is_loopback
    except ValueError:
        return False


async def listed_only(connection: HTTPConnection) -> None:
    """Raises `NotAllowed` for a route that the table doesn't have, and names it: nobody has said who may call it."""
    scope, app = connection.scope, connection.app
    method, table = method_of(scope), access_table(app)
    line = table.unlisted(method, scope["route"], app)
    if line is not None:
        log.error(UNLISTED, line)
    if line is not None or table.find(method, path_of(scope)) is None:
        raise NotAllowed


def warn_of_unlisted(app: FastAPI) -> None:
    """Name every route in the log that the table doesn't have, before somebody asks for it."""
    for line in unlisted(app):
        log.error(UNLISTED, line)


def unlisted(app: FastAPI) -> Iterator[str]:
    """Every route of the application that the table doesn't have, as its line would be. A mount needs none."""
    table = access_table(app)
    for context in iter_route_contexts(app.routes):
        for line in _lines(context):
            if not table.has_line(line):
                yield line


def forgotten(app: FastAPI, method: str, path: str) -> bool:
    """True when a route that the table doesn't have would answer this request."""
    found = (line.partition(" ") for line in unlisted(app))
    return any(listed == method and _pattern(template).fullmatch(path) for listed, _, template in found)


def _lines(context: RouteContext) -> Sequence[str]:
    if isinstance(context.original_route, Mount):
        return ()
    return [f"{method} {context.path}" for method in sorted(context.methods or {WEBSOCKET})]


def access_table(app: FastAPI) -> AccessTable:
    """The application's table."""
    table: AccessTable = app.state.access_table
    return table


def _pattern(path: str) -> re.Pattern[str]:
    text = re.sub(r"\\{(\w+):path\\}", r"(?P<\1>.*)", re.escape(path))
    return re.compile(re.sub(r"\\{(\w+)(?::\w+)?\\}", r"(?P<\1>[^/]+)", text))


def _same(text: str, id: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 19 and int(text) == id

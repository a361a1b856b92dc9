"""Who may call what: the one table, and nothing that isn't in it.

`Authentication` asks it before a byte of the body is read; a route that has no line answers 403 to everybody, and
tests walk over every route of the application.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

from fastapi import FastAPI
from starlette.requests import HTTPConnection
from starlette.types import Scope

from domain import User
from domain.errors import NotAllowed

PREFIX: Final = "/v1"


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
    "GET /health/live": Access.ANYONE,
    "GET /health/ready": Access.ANYONE,
    "GET /metrics": Access.ADMIN_OR_LOOPBACK,
    "GET /monitor": Access.ANYONE,
    "GET /monitor/{name}": Access.ANYONE,
    "GET /v1/monitor": Access.ADMIN,
    "GET /v1/monitor/feed": Access.ADMIN,
    "PATCH /v1/monitor/thresholds": Access.ADMIN,
    "GET /docs": Access.ANYONE,
    "GET /openapi.json": Access.ANYONE,
}
"""By method and path; of several lines that fit a request the first one counts, as with routes."""


class Listed(NamedTuple):
    """What the table says of a request, and the parameters of its path."""

    access: Access
    parameters: Mapping[str, str]


class AccessTable:
    """The table of one application."""

    def __init__(self, table: Mapping[str, Access] = TABLE) -> None:
        self._lines: list[tuple[str, re.Pattern[str], Access]] = []
        for line, access in table.items():
            self.add(line, access)

    def add(self, line: str, access: Access) -> None:
        """One more route, `"GET /path/{parameter}"`. For an application that is built upon this one."""
        method, _, path = line.partition(" ")
        pattern = re.sub(r"\\{(\w+):path\\}", r"(?P<\1>.*)", re.escape(path))
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", pattern)
        self._lines.append((method, re.compile(pattern), access))

    def find(self, method: str, path: str) -> Listed | None:
        """What is said of a request; None when nothing is. A WebSocket's method is `WEBSOCKET`."""
        for listed, pattern, access in self._lines:
            if listed == method and (match := pattern.fullmatch(path)):
                return Listed(access, match.groupdict())
        return None


def path_of(scope: Scope) -> str:
    """The path below where the application is mounted."""
    path: str = scope.get("path", "")
    return path.removeprefix(scope.get("root_path", ""))


def method_of(scope: Scope) -> str:
    """The method, as the table names it."""
    return "WEBSOCKET" if scope["type"] == "websocket" else str(scope["method"])


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
    """Raises `NotAllowed` for a route that the table doesn't have: nobody has said who may call it."""
    scope = connection.scope
    if access_table(connection.app).find(method_of(scope), path_of(scope)) is None:
        raise NotAllowed


def access_table(app: FastAPI) -> AccessTable:
    """The application's table."""
    table: AccessTable = app.state.access_table
    return table


def _same(text: str, id: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 19 and int(text) == id

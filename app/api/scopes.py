"""Scopes: which scope a key needs for each line of the access table. A line without one is closed to keys.

Closed are, by that, whatever makes further keys, ends logins, sets passwords or changes contacts.
"""

from collections.abc import Mapping
from typing import Final

from domain.key import Scope

SCOPES: Final[Mapping[str, Scope]] = {
    "GET /v1/users/me": Scope.ACCOUNT_READ,
    "PATCH /v1/users/me": Scope.ACCOUNT_WRITE,
    "GET /v1/users": Scope.USERS_READ,
    "POST /v1/users": Scope.USERS_WRITE,
    "POST /v1/users/import": Scope.USERS_WRITE,
    "GET /v1/users/export": Scope.USERS_READ,
    "GET /v1/users/{user_id}": Scope.USERS_READ,
    "PATCH /v1/users/{user_id}": Scope.USERS_WRITE,
    "DELETE /v1/users/{user_id}": Scope.USERS_WRITE,
    "POST /v1/users/{user_id}/restore": Scope.USERS_WRITE,
    "GET /v1/users/{user_id}/history": Scope.USERS_READ,
    "POST /v1/users/{user_id}/invitation": Scope.USERS_WRITE,
    "DELETE /v1/users/{user_id}/invitation": Scope.USERS_WRITE,
    "GET /v1/jobs": Scope.USERS_WRITE,
    "GET /v1/jobs/{job_id}": Scope.USERS_WRITE,
    "DELETE /v1/jobs/{job_id}": Scope.USERS_WRITE,
    "GET /v1/audit": Scope.AUDIT_READ,
    "GET /metrics": Scope.MONITOR_READ,
    "GET /v1/monitor": Scope.MONITOR_READ,
    "GET /v1/monitor/feed": Scope.MONITOR_READ,
}
"""Scope by method and path, as in `app.api.access.TABLE`."""


def scope_of(method: str, path: str) -> Scope | None:
    """Return the scope that a key needs for a line; HEAD needs GET's. None: keys can't use it."""
    return SCOPES.get(f"{'GET' if method == 'HEAD' else method} {path}")

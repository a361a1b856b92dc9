"""Calls of the accounts' service, and the same work in SQL."""

import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from containers import Container
from domain.token import digest_of

_STAMPS: Final = "version, created_at, created_by, updated_at, updated_by, deleted_at"
_TOKEN: Final = f"id, user_id, kind, family, digest, expires_at, logged_in_at, rotated_at, revoked_at, {_STAMPS}"
_USER: Final = f"id, email, email_key, phone, display_name, name_key, password_hash, role, status, {_STAMPS}"
_USER_COLUMNS: Final = f"users.{_USER.replace(', ', ', users.')}"
_TOKEN_COLUMNS: Final = f"tokens.{_TOKEN.replace(', ', ', tokens.')}"
_WITH_USER: Final = (
    f"SELECT {_TOKEN_COLUMNS}, {_USER_COLUMNS} FROM tokens JOIN users ON users.id = tokens.user_id "
    "WHERE tokens.digest = $1"
)
_GET: Final = f"SELECT {_USER_COLUMNS} FROM users WHERE id = $1 AND deleted_at IS NULL"
_CHANGE: Final = (
    "UPDATE users SET display_name = $1, name_key = $2, version = version + 1, updated_at = $3, updated_by = 0 "
    "WHERE id = $4 AND version = $5"
)
_ENTRY: Final = (
    "INSERT INTO audit_entries (id, created_at, created_by, request_id, action, record_type, record_id, "
    "record_version, event, row_count, changes) "
    "VALUES ($1, $2, 0, NULL, 'changed', 'users', $3, $4, NULL, 1, $5)"
)

By = Callable[[Any], Awaitable[Any]]


async def of_accounts(container: Container) -> dict[str, tuple[By, Callable[[], Awaitable[Any]]]]:
    """Authentication, and a change of an account with its entry in the audit trail."""
    users, auth = container.user_service(), container.auth_service()
    theirs = await users.create({"email": "ann@example.com", "display_name": "Ann"})
    ours = await users.create({"email": "bob@example.com", "display_name": "Bob"})
    _, secret = await auth.issue(theirs.id, lifetime=timedelta(days=1))
    digest, numbers, entries = digest_of(secret), itertools.count(), itertools.count(1)

    async def authenticate_by_hand(acquire: Any) -> None:
        async with acquire() as connection:
            await connection.fetchrow(_WITH_USER, digest)

    async def authenticate() -> None:
        await auth.authenticate(secret)

    async def update_by_hand(acquire: Any) -> None:
        async with acquire() as connection, connection.transaction():
            row = await connection.fetchrow(_GET, theirs.id)
            name, now = f"Ann {next(numbers)}", datetime.now(UTC)
            await connection.execute(_CHANGE, name, name.lower(), now, theirs.id, row["version"])
            changes = f'{{"display_name": {{"before": "{row["display_name"]}", "after": "{name}"}}}}'
            await connection.execute(_ENTRY, next(entries), now, theirs.id, row["version"] + 1, changes)

    async def update() -> None:
        nonlocal ours
        ours = await users.update(ours.id, {"display_name": f"Bob {next(numbers)}"}, version=ours.version)

    return {
        "authenticate": (authenticate_by_hand, authenticate),
        "user_service.update": (update_by_hand, update),
    }

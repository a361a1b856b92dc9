"""The work in SQL, for the peers that write it themselves."""

from typing import Final

COLUMNS: Final = (
    "id, email, display_name, role, status, version, created_at, created_by, updated_at, updated_by, deleted_at"
)
GET: Final = f"SELECT {COLUMNS} FROM accounts WHERE id = $1 AND deleted_at IS NULL"
LIST: Final = f"SELECT {COLUMNS} FROM accounts WHERE deleted_at IS NULL ORDER BY created_at DESC, id DESC LIMIT $1"
COUNT: Final = "SELECT count(*) FROM accounts WHERE deleted_at IS NULL"
PATCH: Final = (
    "UPDATE accounts SET display_name = $2, version = version + 1, updated_at = now(), updated_by = 0 "
    f"WHERE id = $1 AND deleted_at IS NULL RETURNING {COLUMNS}"
)
INSERT: Final = (
    f"INSERT INTO accounts ({COLUMNS}) VALUES ($1, NULL, $2, 'user', 'active', 1, now(), 0, now(), 0, NULL) "
    f"RETURNING {COLUMNS}"
)

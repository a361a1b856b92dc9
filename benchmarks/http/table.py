"""The table that every peer works on, with rows in it."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg

ROWS: Final = 10_000
FIRST_ID: Final = 1
_TABLE: Final = """
DROP TABLE IF EXISTS accounts;
CREATE TABLE accounts (
    id bigint PRIMARY KEY, email varchar(254), display_name varchar(200), role varchar(16) NOT NULL,
    status varchar(16) NOT NULL, version integer NOT NULL, created_at timestamptz NOT NULL, created_by bigint NOT NULL,
    updated_at timestamptz NOT NULL, updated_by bigint NOT NULL, deleted_at timestamptz
);
CREATE INDEX ix_accounts_created_at_id ON accounts (created_at, id);
"""


async def create(url: str, *, rows: int = ROWS) -> None:
    """Make it anew."""
    connection: Any = await asyncpg.connect(url)
    try:
        await connection.execute(_TABLE)
        await connection.copy_records_to_table(
            "accounts", records=(_row(id) for id in range(FIRST_ID, rows + FIRST_ID))
        )
        await connection.execute("ANALYZE accounts")
    finally:
        await connection.close()


async def trim(url: str, *, rows: int = ROWS) -> None:
    """Take away what a peer has added, so that the next one finds the table as this one did."""
    connection: Any = await asyncpg.connect(url)
    try:
        await connection.execute("DELETE FROM accounts WHERE id >= $1", rows + FIRST_ID)
        await connection.execute("VACUUM ANALYZE accounts")
    finally:
        await connection.close()


def _row(id: int) -> tuple[Any, ...]:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=random.Random(id).randrange(10_000_000))
    return id, f"account{id}@example.com", f"Account {id}", "user", "active", 1, at, 0, at, 0, None

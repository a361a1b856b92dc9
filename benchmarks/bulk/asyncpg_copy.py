"""asyncpg: COPY of records that have all their values."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg

from benchmarks.bulk.measured import insert_measured
from benchmarks.http.statements import COLUMNS


@asynccontextmanager
async def opened(url: str, rows: int) -> AsyncIterator[Callable[[], Coroutine[Any, Any, object]]]:
    now = datetime.now(UTC)
    records = [
        (id, f"account{id}@example.com", f"Account {id}", "user", "active", 1, now, 0, now, 0, None)
        for id in range(1, rows + 1)
    ]
    connection: Any = await asyncpg.connect(url)

    async def insert() -> object:
        async with connection.transaction():
            return await connection.copy_records_to_table("accounts", columns=COLUMNS.split(", "), records=records)

    yield insert
    await connection.close()


if __name__ == "__main__":
    insert_measured(opened)

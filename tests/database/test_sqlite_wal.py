"""A SQLite file that others use while it is turned to WAL: what happens when several processes open a new one."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from unitwork import Database
from unitwork.errors import DatabaseUnavailable
from unitwork.options import DatabaseOptions

HELD_SECONDS = 0.4


@asynccontextmanager
async def held(file: Path) -> AsyncIterator[None]:
    """Hold the writer of a file that isn't in WAL yet, until shortly after the block has begun."""
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE notes (label TEXT)")
    other.execute("BEGIN IMMEDIATE")
    release = asyncio.get_running_loop().call_later(HELD_SECONDS, other.execute, "COMMIT")
    try:
        yield
    finally:
        release.cancel()
        other.close()


async def test_a_new_connection_waits_for_who_holds_the_file(tmp_path: Path) -> None:
    file = tmp_path / "new.db"
    async with held(file), Database(f"sqlite:///{file}") as database, database.sessions() as session:
        assert (await session.execute(text("PRAGMA journal_mode"))).scalar_one() == "wal"


async def test_it_waits_no_longer_than_a_unit_waits_for_the_writer(tmp_path: Path) -> None:
    file = tmp_path / "new.db"
    async with held(file), Database(DatabaseOptions(f"sqlite:///{file}", statement_timeout=0.1)) as database:
        with pytest.raises(DatabaseUnavailable, match="locked"):
            async with database.sessions() as session:
                await session.execute(text("SELECT 1"))

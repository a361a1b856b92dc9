"""SQLite's files are for their owner alone, and keep nothing that was deleted."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from packages.unitwork.tests.shop import Item, ItemDao
from packages.unitwork.tests.test_database import with_tables
from unitwork import Database
from unitwork.backends.registry import backend_of

CANARY = "canary-5c1d"


@pytest.fixture(params=[0o000, 0o022], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
async def test_a_new_file_is_for_its_owner_alone_and_one_that_is_there_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    async with Database(f"sqlite:///{folder}/shop.db") as database:
        await with_tables(database)
        await ItemDao(database.sessions).add(Item(label="tea"))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert modes.keys() >= {"shop.db", "shop.db-wal", "shop.db-shm"}
    assert set(modes.values()) == {0o600}
    (folder / "shop.db").chmod(0o640)
    async with Database(f"sqlite:///{folder}/shop.db") as database:
        assert await ItemDao(database.sessions).labels() == ["tea"]
    assert stat.S_IMODE((folder / "shop.db").stat().st_mode) == 0o640, "who made it so meant it"


async def test_deleted_rows_are_overwritten_once_nobody_reads(tmp_path: Path) -> None:
    def held() -> bool:
        return any(CANARY.encode() in path.read_bytes() for path in tmp_path.iterdir())

    async with Database(f"sqlite:///{tmp_path}/shop.db") as database:
        await with_tables(database)
        items = ItemDao(database.sessions)
        await items.add_many([Item(label=CANARY) for _ in range(500)])
        backend = backend_of(database.engine.dialect)
        with closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM items").fetchone()
            await items.delete().all_rows().execute()
            assert held()
            assert not await backend.overwrite_deleted(database.engine), "a reader sees the state of before"
        assert await backend.overwrite_deleted(database.engine)
        assert not held()

"""The thread of a SQLite connection that a slow disk holds up for longer than the event loop lives."""

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from containers import Container, running
from settings import Settings

JOIN_WITHIN = 5


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What threads end with, which Python prints with a traceback."""
    ended: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda failure: ended.append(str(failure.exc_value)))
    return ended


def test_a_thread_that_is_held_up_closes_its_connection_after_the_loop_and_says_nothing(
    tmp_path: Path, failures: list[str]
) -> None:
    settings = Settings(database={"url": f"sqlite:///{tmp_path}/slow.db"})
    release, drivers = threading.Event(), list[Any]()

    async def use() -> None:
        async with running(Container(settings=settings)) as container:
            async with container.engine().connect() as connection:
                await connection.execute(text("SELECT 1"))
                drivers.append((await connection.get_raw_connection()).driver_connection)
            drivers[0]._tx.put_nowait((None, release.wait))  # a disk that stalls

    asyncio.run(use())
    driver = drivers[0]
    assert driver._thread.is_alive()
    release.set()
    driver._thread.join(JOIN_WITHIN)
    assert not driver._thread.is_alive()
    assert failures == []


def test_a_statement_that_is_held_up_after_the_loop_does_not_keep_the_connection_open(
    tmp_path: Path, failures: list[str]
) -> None:
    """Its report is the one that finds no loop, and the closing stands in the queue behind it."""
    settings = Settings(database={"url": f"sqlite:///{tmp_path}/slow.db"})
    release, held = threading.Event(), list[Any]()

    async def use() -> None:
        async with running(Container(settings=settings)) as container:
            async with container.engine().connect() as connection:
                await connection.execute(text("SELECT 1"))
                driver: Any = (await connection.get_raw_connection()).driver_connection
            held.extend((driver, driver._conn, asyncio.get_running_loop().create_future()))
            driver._tx.put_nowait((held[2], release.wait))

    asyncio.run(use())
    driver, file, _ = held
    release.set()
    driver._thread.join(JOIN_WITHIN)
    assert not driver._thread.is_alive()
    assert failures == []
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        file.execute("SELECT 1")

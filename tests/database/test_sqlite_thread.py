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


@pytest.mark.parametrize("heard", [False, True], ids=["the closing", "a call before it"])
def test_the_file_is_closed_in_silence_when_the_loop_has_ended_before(
    tmp_path: Path, failures: list[str], *, heard: bool
) -> None:
    """Which call it is whose report finds no loop."""
    settings = Settings(database={"url": f"sqlite:///{tmp_path}/slow.db"})
    release, held = threading.Event(), list[Any]()

    async def use() -> None:
        async with running(Container(settings=settings)) as container:
            async with container.engine().connect() as connection:
                await connection.execute(text("SELECT 1"))
                driver: Any = (await connection.get_raw_connection()).driver_connection
            held.extend((driver, driver._conn))
            waiting = asyncio.get_running_loop().create_future() if heard else None
            driver._tx.put_nowait((waiting, release.wait))  # a disk that stalls

    asyncio.run(use())
    driver, file = held
    assert driver._thread.is_alive()
    release.set()
    driver._thread.join(JOIN_WITHIN)
    assert not driver._thread.is_alive()
    assert failures == []
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        file.execute("SELECT 1")

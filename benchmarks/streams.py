"""Streams: a million rows out of the database, and as CSV, in memory that doesn't grow."""

import asyncio
import resource
import subprocess
import sys
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import asyncpg
from sqlalchemy import URL

from benchmarks.effort import Effort
from benchmarks.http import table
from benchmarks.http.peers.gatehouse import Container
from benchmarks.http.statements import COLUMNS
from benchmarks.results import Section
from containers import running
from settings import Settings

ROWS: Final = 1_000_000
ALL: Final = f"SELECT {COLUMNS} FROM accounts ORDER BY id"
CHUNK: Final = 1000


async def measure(url: URL, effort: Effort) -> Section:
    """Each way in a process of its own, whose peak memory that is."""
    text, rows = url.render_as_string(hide_password=False), int(ROWS * effort.scale)
    await table.create(text, rows=rows)
    await _create_users(text, rows)
    found: dict[str, tuple[float, float, float]] = {}
    for name in WAYS:
        done = subprocess.run(  # noqa: ASYNC221, S603 - ourselves; nothing else runs meanwhile
            [sys.executable, "-m", "benchmarks.streams", name, text],
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            check=True,
        )
        seconds, growth, counted = map(float, done.stdout.split())
        if counted != rows:
            msg = f"{name} gave {counted:.0f} rows of {rows}"
            raise RuntimeError(msg)
        found[name] = seconds, growth, rows / seconds
    raw = found["asyncpg, cursor"]
    return Section(
        "A million rows",
        f"{rows:,} accounts read from first to last, each way in a process of its own.",
        ["way", "seconds", "rows/s", "× asyncpg", "memory growth, MB"],
        [
            [name, f"{seconds:.1f}", f"{rate:,.0f}", f"{rate / raw[2]:.2f}", f"{growth:.0f}"]
            for name, (seconds, growth, rate) in found.items()
        ],
    )


async def by_cursor(url: str) -> int:
    connection: Any = await asyncpg.connect(url)
    count = 0
    async with connection.transaction(readonly=True):
        async for _ in connection.cursor(ALL, prefetch=CHUNK):
            count += 1
    await connection.close()
    return count


async def by_stream(url: str) -> int:
    count = 0
    async with running(_container(url)) as container:
        async for _ in container.account_dao().query().stream(chunk=CHUNK):
            count += 1
    return count


async def as_csv(url: str) -> int:
    """By the service, as HTTP and the command do."""
    count = -1  # the header
    async with running(_container(url)) as container, aclosing(container.user_csv_service().export()) as pieces:
        async for piece in pieces:
            count += piece.count("\r\n")
    return count


def _container(url: str) -> Container:
    return Container(settings=Settings(database={"url": url}, node_id=1))


async def _create_users(url: str, rows: int) -> None:
    async with running(_container(url)) as container:
        await container.schema().upgrade()
    connection: Any = await asyncpg.connect(url)
    await connection.execute("TRUNCATE users CASCADE")
    await connection.execute(
        "INSERT INTO users (id, email, email_key, display_name, role, status, version, created_at, created_by, "
        "updated_at, updated_by) SELECT id, email, email, display_name, role, status, version, created_at, created_by, "
        "updated_at, updated_by FROM accounts"
    )
    await connection.close()


WAYS: Final = {"asyncpg, cursor": by_cursor, "dao.query().stream()": by_stream, "user_csv_service.export()": as_csv}


async def main(way: str, url: str) -> None:
    warm = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    count = await WAYS[way](url)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(time.perf_counter() - begun, (peak - warm) / 1024, count)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

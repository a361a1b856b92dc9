"""A CSV import: a million accounts by the service, as HTTP and the command do it, in memory that doesn't grow."""

import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from sqlalchemy import URL

from benchmarks.effort import Effort
from benchmarks.results import Section
from containers import Container, running
from settings import Settings
from unitwork.models import SYSTEM, acting_as

ROWS: Final = 1_000_000
WARM: Final = 1_000
PIECE: Final = 500


class People:
    """A text file of so many lines, made while it is read."""

    def __init__(self, first: int, rows: int) -> None:
        self._next, self._end = first, first + rows
        self._header = "email,phone,display_name\r\n"

    async def read(self, _size: int, /) -> str:
        header, self._header = self._header, ""
        numbers = range(self._next, min(self._next + PIECE, self._end))
        self._next = numbers.stop
        return header + "".join(f"person{n}@example.com,+1415{n % 10_000_000:07},Person {n}\r\n" for n in numbers)


async def measure(url: URL, effort: Effort) -> Section:
    """In a process of its own, whose memory that is; on PostgreSQL and on a SQLite file."""
    rows = int(ROWS * effort.scale)
    lines = []
    for name, text in (("PostgreSQL", url.render_as_string(hide_password=False)), ("SQLite", "")):
        done = subprocess.run(  # noqa: ASYNC221, S603 - ourselves; nothing else runs meanwhile
            [sys.executable, "-m", "benchmarks.csv_import", str(rows), text],
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            check=True,
        )
        seconds, growth = map(float, done.stdout.split())
        lines.append([name, f"{seconds:.0f}", f"{rows / seconds:,.0f}", f"{growth / 1024:.0f}"])
    return Section(
        "A CSV import",
        f"{rows:,} new accounts, each checked by the rules of an account and with an entry in the audit trail, in "
        f"transactions of 500; memory beside that after the first {WARM:,}.",
        ["database", "seconds", "rows/s", "memory growth, MB"],
        lines,
    )


async def main(rows: int, url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = {"url": url or f"sqlite:///{folder}/people.db"}
        settings = Settings(database=database, node_id=1, var_dir=folder, csv={"max_rows": rows})
        async with running(Container(settings=settings)) as container:
            await container.schema().upgrade()
            with acting_as(SYSTEM):
                await container.user_csv_service().import_file(People(0, WARM))
                warm, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
                report = await container.user_csv_service().import_file(People(WARM, rows))
                seconds = time.perf_counter() - begun
        if report.imported != rows:
            msg = (
                f"{report.imported} rows of {rows} were imported, {report.skipped} skipped, {report.rejected} rejected"
            )
            raise RuntimeError(msg)
        print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - warm)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))

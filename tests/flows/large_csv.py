"""A file of many rows in, out, and in again, in a process whose memory is watched.

Run as a program: `DATABASE_URL=… OTHER_URL=… python -m tests.flows.large_csv ROWS FOLDER`. The file's last row but one
is bad. Prints one JSON object: what was imported, bytes of memory it took, seconds to the first piece of the export,
whether the round trip kept everything.
"""

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from containers import Container, running
from services.csv.encoding import DecodedText
from services.csv.import_report import ImportReport
from settings import Settings
from unitwork.models import SYSTEM, acting_as

WARM = 1000
"""Rows imported before memory counts: by then everything is loaded that is loaded once."""


class FileBytes:
    """A file on disk, read in pieces."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")

    async def read(self, size: int, /) -> bytes:
        piece = self._file.read(size)
        if not piece:
            self._file.close()
        return piece


def people(rows: int, *, mark: str, phones: int) -> Iterator[str]:
    yield "email,display_name,phone,status\n"
    for number in range(rows):
        if number == rows - 2:
            yield "nonsense,,,\n"
        else:
            status = "suspended" if number % 7 == 0 else ""
            yield f'{mark}{number}@example.com,"=Person, {number}",+1415{phones + number:07},{status}\n'


async def load(container: Container, path: Path) -> ImportReport:
    with acting_as(SYSTEM):
        return await container.user_csv_service().import_file(DecodedText(FileBytes(path), max_bytes=1 << 30))


async def export(container: Container, path: Path) -> float:
    begun, first = time.perf_counter(), 0.0
    with path.open("w", encoding="utf-8", newline="") as file:
        async with aclosing(container.user_csv_service().export()) as pieces:
            async for piece in pieces:
                first = first or time.perf_counter() - begun
                file.write(piece)
    return first


def kept(path: Path) -> Iterator[str]:
    """Each line without id and created_at."""
    with path.open(encoding="utf-8", newline="") as file:
        for line in file:
            yield line.partition(",")[2].rpartition(",")[0]


def memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@asynccontextmanager
async def on(url: str) -> AsyncIterator[Container]:
    async with running(Container(settings=Settings(database={"url": url}))) as container:
        yield container


async def main(rows: int, folder: Path) -> dict[str, Any]:
    source, out, again, warm = (folder / f"{name}.csv" for name in ("source", "out", "again", "warm"))
    with source.open("w", encoding="utf-8") as file:
        file.writelines(people(rows, mark="user", phones=5_000_000))
    with warm.open("w", encoding="utf-8") as file:
        file.writelines(people(WARM, mark="warm", phones=6_000_000))
    async with on(os.environ["DATABASE_URL"]) as container, on(os.environ["OTHER_URL"]) as other:
        for one in (container, other):
            await load(one, warm)
            await export(one, again)
        before, begun = memory(), time.perf_counter()
        report = await load(container, source)
        took, imported = time.perf_counter() - begun, memory() - before
        begun = time.perf_counter()
        first = await export(container, out)
        exporting = time.perf_counter() - begun
        back = await load(other, out)
        await export(other, again)
        return {
            "rows": report.rows,
            "imported": report.imported,
            "rejected": [rejection.line for rejection in report.rejected],
            "import_seconds": round(took, 1),
            "import_memory": imported,
            "export_first": round(first, 4),
            "export_seconds": round(exporting, 1),
            "memory": memory() - before,
            "back": back.imported,
            "kept": all(a == b for a, b in zip(kept(out), kept(again), strict=True)),
        }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))))

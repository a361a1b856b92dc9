"""Bulk inserts: 100,000 new rows, by the driver's COPY, by ours and by the peers' ways."""

import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any, Final

import asyncpg
from sqlalchemy import URL

from benchmarks.effort import Effort
from benchmarks.http import table
from benchmarks.results import Section

ROOT: Final = Path(__file__).parents[1]
ROWS: Final = 100_000
RAW: Final = "asyncpg, COPY"
WAYS: Final = {
    RAW: (sys.executable, "asyncpg_copy"),
    "dao.add_many(mappings)": (sys.executable, "gatehouse_mappings"),
    "dao.add_many(models)": (sys.executable, "gatehouse_models"),
    "AsyncSession, add_all(models)": (sys.executable, "sqlalchemy_models"),
    "advanced-alchemy, add_many(models)": (str(ROOT / ".bench/peers/bin/python"), "advanced_alchemy_models"),
}


async def measure(url: URL, effort: Effort) -> Section:
    """Each way in a process of its own, in turn; medians of the ratios of a round."""
    text, rows = url.render_as_string(hide_password=False), int(ROWS * effort.scale)
    await table.create(text, rows=0)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for _ in range(effort.rounds * 2 - 1):
        for name, (python, module) in WAYS.items():
            found[name].append(_ran(python, module, text, rows))
            if (stored := await _emptied(text)) != rows:
                msg = f"{name} stored {stored} rows of {rows}"
                raise RuntimeError(msg)
    raw = [seconds for seconds, _ in found[RAW]]
    return Section(
        "A bulk insert",
        f"{rows:,} accounts in one transaction, each way in a process of its own; medians of {len(raw)} rounds. COPY "
        "by hand is given all columns; the others are given two, and make ids, stamps and defaults.",
        ["way", "seconds", "rows/s", "× asyncpg's speed", "memory growth, MB"],
        [_row(name, each, raw, rows) for name, each in found.items()],
    )


def _row(name: str, each: list[tuple[float, float]], raw: list[float], rows: int) -> list[str]:
    seconds = median(seconds for seconds, _ in each)
    ratio = median(theirs / ours for theirs, (ours, _) in zip(raw, each, strict=True))
    growth = max(growth for _, growth in each)
    return [name, f"{seconds:.2f}", f"{rows / seconds:,.0f}", f"{ratio:.2f}", f"{growth / 1024:.0f}"]


def _ran(python: str, module: str, url: str, rows: int) -> tuple[float, float]:
    done = subprocess.run(  # noqa: S603 - ourselves; nothing else runs meanwhile
        [python, "-m", f"benchmarks.bulk.{module}", url, str(rows)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, growth = map(float, done.stdout.split())
    return seconds, growth


async def _emptied(url: str) -> int:
    """How many rows there were."""
    connection: Any = await asyncpg.connect(url)
    count: int = await connection.fetchval("SELECT count(*) FROM accounts")
    await connection.execute("TRUNCATE accounts")
    await connection.close()
    return count

"""Keyset pages: the ten thousandth costs what the first one costs."""

from collections.abc import Iterator
from typing import Final

from sqlalchemy import URL

from benchmarks.clock import Cost, costs
from benchmarks.effort import Effort
from benchmarks.http import table
from benchmarks.http.peers.gatehouse import Account, Container
from benchmarks.results import Section
from containers import running
from settings import Settings
from unitwork.dao import Query

ROWS: Final = (10_000, 100_000, 1_000_000)
SIZE: Final = 50
DEEP: Final = 10_000
"""The page that is far behind, in the largest table."""
ORDER: Final = ("-created_at", "-id")
STRIDE: Final = 5_000
CALLS: Final = 100


async def measure(url: URL, effort: Effort) -> Section:
    """The first page and a deep one, in tables of growing size."""
    rows = []
    for count in (int(count * effort.scale) for count in ROWS):
        text = url.render_as_string(hide_password=False)
        await table.create(text, rows=count)
        settings = Settings(database={"url": text, "pool_size": 1}, node_id=1)
        async with running(Container(settings=settings)) as container:
            page = min(DEEP, count // SIZE // 2)
            found = await _measured(container.account_dao().query().order_by(*ORDER), page, effort)
        first, deep, offset = (found[name].wall * 1e3 for name in ("first", "deep", "offset"))
        rows.append([f"{count:,}", f"{page:,}", f"{first:.2f}", f"{deep:.2f}", f"{deep / first:.2f}", f"{offset:.1f}"])
    return Section(
        "Keyset pages",
        f"Pages of {SIZE} rows by `order_by{ORDER}`, over an index on (created_at, id).".replace("'", '"'),
        ["rows", "page", "page 1, ms", "that page by cursor, ms", "×", "that page by offset with total, ms"],
        rows,
    )


async def _measured(query: Query[Account], page: int, effort: Effort) -> dict[str, Cost]:
    cursor = None
    for size in _strides((page - 1) * SIZE):  # a cursor doesn't depend on the sizes of the pages before it
        cursor = (await query.after(cursor, size)).next_cursor
    ways = {
        "first": lambda: query.after(None, SIZE),
        "deep": lambda: query.after(cursor, SIZE),
    }
    found = await costs(ways, rounds=effort.rounds, calls=max(int(CALLS * effort.scale), 5))
    # One takes as long as hundreds of the others.
    return found | await costs({"offset": lambda: query.page(page, SIZE)}, rounds=effort.rounds, calls=1, warm=1)


def _strides(rows: int) -> Iterator[int]:
    while rows:
        yield (size := min(rows, STRIDE))
        rows -= size

"""A lone read by primary key: what the DAO's comfort and guards cost beside the driver itself."""

from typing import Any, Final

import asyncpg
from sqlalchemy import URL, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from benchmarks.clock import Cost, costs
from benchmarks.effort import Effort
from benchmarks.http import table
from benchmarks.http.peers.gatehouse import Account, Container
from benchmarks.http.statements import GET
from benchmarks.results import Section
from benchmarks.shares import shares
from containers import running
from settings import Settings

ID: Final = 77
CALLS: Final = 1000
RAW: Final = "asyncpg, pool.fetchrow"
GET_MODEL: Final = "dao.get(id)"


async def measure(url: URL, effort: Effort) -> Section:
    """One row, by each way there is."""
    await table.create(_text(url))
    plain = create_async_engine(url.set(drivername="postgresql+asyncpg"), pool_size=1)
    maker = async_sessionmaker(plain, expire_on_commit=False)
    pool: Any = await asyncpg.create_pool(_text(url), min_size=1, max_size=1)
    settings = Settings(database={"url": _text(url), "pool_size": 1}, node_id=1)
    try:
        async with running(Container(settings=settings)) as container:
            accounts, transaction = container.account_dao(), container.transaction()

            async def by_session() -> object:
                async with maker() as session:
                    return await session.scalar(select(Account).where(Account.id == ID, Account.deleted_at.is_(None)))

            async def in_transaction() -> object:
                async with transaction(read_only=True):
                    return await accounts.get(ID)

            ways = {
                RAW: lambda: pool.fetchrow(GET, ID),
                "dao.query().scalars(column)": lambda: accounts.query().eq("id", ID).scalars(Account.display_name),
                GET_MODEL: lambda: accounts.get(ID),
                "dao.query().eq(…).one()": lambda: accounts.query().eq("id", ID).one(),
                "dao.get(id) in a read-only transaction": in_transaction,
                "AsyncSession, select() built for each call": by_session,
            }
            found = await costs(ways, rounds=effort.rounds * 3, calls=CALLS)
            profile = await shares(ways[GET_MODEL], calls=CALLS)
    finally:
        await pool.close()
        await plain.dispose()
    raw = found[RAW]
    return Section(
        "A lone read",
        f"One row by its primary key, one after the other, on one warm connection; medians of "
        f"{effort.rounds * 3} rounds of {CALLS} calls, in turn.",
        ["way", "CPU µs", "× asyncpg", "wall µs", "× asyncpg"],
        [[name, *_cells(it, raw)] for name, it in found.items()],
        [f"Where `{GET_MODEL}` spends its time, by Python's profiler: {profile}."],
    )


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _cells(it: Cost, raw: Cost) -> list[str]:
    return [f"{it.cpu * 1e6:.0f}", f"{it.cpu / raw.cpu:.2f}", f"{it.wall * 1e6:.0f}", f"{it.wall / raw.wall:.2f}"]

"""What the safe provider costs beside a plain `async with maker()`: two inserts, a statement each, and COMMIT."""

from contextlib import AsyncExitStack

from sqlalchemy import URL, Column, Integer, MetaData, String, Table
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from benchmarks.effort import Effort
from benchmarks.in_turn import SLICES, in_turn, row
from benchmarks.results import Section
from containers import Container, running
from settings import Settings

metadata = MetaData()
rows = Table(
    "bench_units",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("unit", String(80), nullable=False),
    Column("part", Integer, nullable=False),
)


async def measure(url: URL, effort: Effort) -> Section:
    """Plain, the provider, and the transaction, in turn."""
    async with AsyncExitStack() as stack:
        plain = create_async_engine(url.set(drivername="postgresql+asyncpg"), pool_use_lifo=True)
        stack.push_async_callback(plain.dispose)
        async with plain.begin() as connection:
            await connection.run_sync(metadata.create_all)
        settings = Settings.model_validate({"database": {"url": url.render_as_string(hide_password=False)}})
        container = await stack.enter_async_context(running(Container(settings=settings)))
        await container.schema().upgrade()
        maker = async_sessionmaker(plain, expire_on_commit=False)
        provider, transaction = container.session_provider(), container.transaction()

        async def with_maker() -> None:
            async with maker() as session:
                await _two_inserts(session)
                await session.commit()

        async def with_provider() -> None:
            async with provider() as session:
                await _two_inserts(session)

        async def with_transaction() -> None:
            async with transaction() as tx:
                await _two_inserts(tx.session)

        kinds = {
            "async with maker()": with_maker,
            "session_provider()": with_provider,
            "transaction()": with_transaction,
        }
        costs = await in_turn(kinds, effort)
        async with plain.begin() as connection:
            await connection.run_sync(metadata.drop_all)
        await container.schema().downgrade("base")
    base = costs["async with maker()"]
    return Section(
        "Overhead of the safe provider",
        "A unit of two inserts in two statements and COMMIT, asyncpg, one at a time in one process, each in turn; "
        f"medians of {effort.rounds * SLICES} slices.",
        ["unit", "wall ms", "×", "CPU ms", "×"],
        [row(name, cost, base) for name, cost in costs.items()],
        ["× is the median of the ratios of slices that ran next to each other."],
    )


async def _two_inserts(session: AsyncSession) -> None:
    await session.execute(rows.insert().values(unit="unit", part=1))
    await session.execute(rows.insert().values(unit="unit", part=2))

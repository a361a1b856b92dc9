"""Ledger: a table in which each unit writes two rows, and what can be read off it afterwards.

The table forbids nothing, so that a half unit and a unit done twice are both seen. It is looked at through a
connection of an engine of its own.
"""

from collections import Counter

from sqlalchemy import Column, Integer, MetaData, String, Table, func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import registry

from containers import Container

FILLING = 3_000
metadata = MetaData()
entries = Table(
    "ledger_entries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("unit", String(80), nullable=False),
    Column("part", Integer, nullable=False),
)


class Entry:
    """A mapped row, for units that flush."""

    id: int

    def __init__(self, unit: str, part: int) -> None:
        self.unit = unit
        self.part = part


registry(metadata=metadata).map_imperatively(Entry, entries)


async def create_ledger(container: Container) -> None:
    """The table, in the container's database."""
    engine: AsyncEngine = create_async_engine(container.settings().database.url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
    finally:
        await engine.dispose()


async def write_part(session: AsyncSession, unit: str, part: int) -> None:
    """One of a unit's two rows, as one statement."""
    await session.execute(entries.insert().values(unit=unit, part=part))


async def write_filling(session: AsyncSession, unit: str, part: int) -> None:
    """One of a unit's two rows, last of so many of nobody's that a driver sends them in several pieces."""
    filling = [{"unit": "filling".ljust(80, "."), "part": 0}] * FILLING
    await session.execute(entries.insert(), [*filling, {"unit": unit, "part": part}])


async def parts_stored(container: Container) -> Counter[str]:
    """How many rows each unit has stored, as another connection sees it: none (absent), 2, or what must not be."""
    engine: AsyncEngine = create_async_engine(container.settings().database.url)
    try:
        async with engine.connect() as connection:
            rows = await connection.execute(
                select(entries.c.unit, func.count().label("parts")).group_by(entries.c.unit)
            )
            return Counter({row.unit: row.parts for row in rows})
    finally:
        await engine.dispose()

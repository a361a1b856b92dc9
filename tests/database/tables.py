"""Two small tables for tests of sessions and transactions, and a second connection to look at them with."""

from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from containers import Container

metadata = MetaData()
notes = Table("notes", metadata, Column("id", Integer, primary_key=True), Column("text", String(50), unique=True))
replies = Table(
    "replies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("note", ForeignKey("notes.id", deferrable=True, initially="DEFERRED")),
)


async def create_tables(container: Container) -> None:
    async with container.engine().begin() as connection:
        await connection.run_sync(metadata.create_all)


async def write(session: AsyncSession, text: str) -> None:
    await session.execute(notes.insert().values(text=text))


async def stored(container: Container) -> set[str]:
    """The texts that another connection, of another engine, sees."""
    engine: AsyncEngine = create_async_engine(container.settings().database.url)
    try:
        async with engine.connect() as connection:
            return set((await connection.scalars(select(notes.c.text))).all())
    finally:
        await engine.dispose()

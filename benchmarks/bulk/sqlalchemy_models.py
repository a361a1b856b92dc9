"""SQLAlchemy: `session.add_all` of models."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from benchmarks.bulk.measured import insert_measured
from benchmarks.http.models import Account


@asynccontextmanager
async def opened(url: str, rows: int) -> AsyncIterator[Callable[[], Coroutine[Any, Any, object]]]:
    given = [Account(email=f"account{n}@example.com", display_name=f"Account {n}") for n in range(1, rows + 1)]
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:", 1))
    async with async_sessionmaker(engine, expire_on_commit=False)() as session:
        await session.execute(text("SELECT 1"))
        await session.rollback()

        async def insert() -> None:
            session.add_all(given)
            await session.commit()

        yield insert
    await engine.dispose()


if __name__ == "__main__":
    insert_measured(opened)

"""A failure that somebody swallows: half of the work is stored, or nothing is and the commit says it went well.

People write it because one step may fail and the rest should go on. The step itself has two statements; the second is
refused, and an `except` around the step passes on. On SQLite the commit then stores the order and one half of the
step. PostgreSQL aborted the transaction at the error, answers COMMIT with ROLLBACK, and SQLAlchemy returns as if all
were well: the order is lost, too. The same code, two databases, two lies. (With `session.add` it is the flush that
fails. When that is caught, `begin()` stores nothing on either, and says nothing.)

In a Gatehouse transaction the same code stores nothing, and says so on both: TransactionRolledBack. Where a step may
fail, put it into `transaction(Propagation.NESTED)` and catch around that: the step is undone, the rest is stored.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from containers import Container, running
from settings import Settings
from unitwork import Propagation
from unitwork.errors import TransactionRolledBack, UniqueViolation


class Base(DeclarativeBase):
    """Keeps this page's table apart from the accounts."""


class Note(Base):
    __tablename__ = "pitfall_notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(unique=True)


@dataclass(frozen=True)
class Seen:
    ended: str
    """How the block ended, as far as its caller can tell."""
    stored: list[str]
    """`last seat` was there before."""


async def reserve(session: AsyncSession) -> None:
    """The step that may fail: the last seat is taken already."""
    await session.execute(insert(Note).values(text="seat reserved"))
    await session.execute(insert(Note).values(text="last seat"))


async def order(session: AsyncSession) -> None:
    await session.execute(insert(Note).values(text="order"))
    # What plain SQLAlchemy calls it, and what Gatehouse does.
    with suppress(IntegrityError, UniqueViolation):
        await reserve(session)


async def broken(settings: Settings) -> Seen:
    async with empty_table(settings) as engine:
        async with async_sessionmaker(engine).begin() as session:
            await order(session)
        return Seen("committed", await stored(engine))


async def refused(settings: Settings) -> Seen:
    """The broken code, in a transaction of Gatehouse's."""
    async with empty_table(settings) as engine, running(Container(settings=settings)) as container:
        try:
            async with container.transaction()() as tx:
                await order(tx.session)
            ended = "committed"
        except TransactionRolledBack as error:
            ended = f"{type(error).__name__} because of {type(error.__cause__).__name__}"
        return Seen(ended, await stored(engine))


async def right(settings: Settings) -> Seen:
    async with empty_table(settings) as engine, running(Container(settings=settings)) as container:
        transaction = container.transaction()
        async with transaction() as tx:
            await tx.session.execute(insert(Note).values(text="order"))
            with suppress(UniqueViolation):
                async with transaction(Propagation.NESTED):
                    await reserve(tx.session)
        return Seen("committed", await stored(engine))


@asynccontextmanager
async def empty_table(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """The table with the seat in it, and an engine of plain SQLAlchemy on its database."""
    engine = create_async_engine(settings.database.url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
            await connection.execute(insert(Note).values(text="last seat"))
        yield engine
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
    finally:
        await engine.dispose()


async def stored(engine: AsyncEngine) -> list[str]:
    """What another connection sees."""
    async with engine.connect() as connection:
        return sorted(await connection.scalars(select(Note.text)))


async def main(settings: Settings) -> None:
    print("broken: ", await broken(settings))
    print("refused:", await refused(settings))
    print("right:  ", await right(settings))


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        url = sys.argv[1] if sys.argv[1:] else f"sqlite:///{folder}/notes.db"
        asyncio.run(main(Settings(database={"url": url})))
